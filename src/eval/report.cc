// SPDX-License-Identifier: Apache-2.0
#include "eval/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "peregrine/error.h"

namespace peregrine::eval {
namespace {

using Json = nlohmann::ordered_json;

template <typename Has>
bool any_found(std::span<const FramePair> frames, Has has) {
  return std::any_of(frames.begin(), frames.end(), [&](const FramePair& pair) {
    return std::any_of(pair.result->objects.begin(), pair.result->objects.end(), has);
  });
}

std::string label_of(const Report& report, int id) {
  const auto i = static_cast<std::size_t>(id);
  return i < report.labels.size() && !report.labels[i].empty() ? report.labels[i]
                                                               : fmt::format("class {}", id);
}

std::string precision_text(const Report& report, const char* title, const PrecisionReport& p) {
  std::string text =
      fmt::format("{:<18}{:>8}{:>8}{:>8}{:>9}\n", title, "mAP50", "mAP75", "mAP", "objects");
  int wanted = 0;
  for (const auto& [id, c] : p.classes) {
    double mean = 0;
    for (double v : c.average) mean += v / kThresholds;
    text += fmt::format("  {:<16}{:>8.4f}{:>8.4f}{:>8.4f}{:>9}\n", label_of(report, id),
                        c.average[0], c.average[5], mean, c.wanted);
    wanted += c.wanted;
  }
  return text + fmt::format("  {:<16}{:>8.4f}{:>8.4f}{:>8.4f}{:>9}\n", "all", p.map50(), p.map75(),
                            p.map(), wanted);
}

Json precision_json(const Report& report, const PrecisionReport& p) {
  Json json = {
      {"map50", p.map50()}, {"map75", p.map75()}, {"map", p.map()}, {"classes", Json::array()}};
  for (const auto& [id, c] : p.classes) {
    json["classes"].push_back(
        {{"class", id}, {"label", label_of(report, id)}, {"objects", c.wanted}, {"ap", c.average}});
  }
  return json;
}

Json tracking_json(const TrackingReport& t) {
  return {{"hota", t.hota},
          {"deta", t.detection_accuracy},
          {"assa", t.association_accuracy},
          {"loca", t.localisation_accuracy},
          {"hota_at", t.hota_at},
          {"mota", t.mota},
          {"motp", t.motp},
          {"idf1", t.idf1},
          {"idp", t.id_precision},
          {"idr", t.id_recall},
          {"switches", t.switches},
          {"missed", t.missed},
          {"invented", t.invented},
          {"matched", t.matched},
          {"truth_tracks", t.truth_tracks},
          {"result_tracks", t.result_tracks}};
}

/// One set of axes from 0 to 1, drawn at `left`.
class Chart {
 public:
  static constexpr int kSize = 320, kTop = 50;
  Chart(int left, const std::string& title, const std::string& across, const std::string& up)
      : left_(left) {
    svg_ = fmt::format(
        "<text x='{}' y='24' font-weight='bold'>{}</text>\n<rect x='{}' y='{}' width='{}' "
        "height='{}' fill='none' stroke='#888'/>\n",
        left, title, left, kTop, kSize, kSize);
    for (int i = 0; i <= 10; i += 2) {
      svg_ += fmt::format(
          "<line x1='{0}' x2='{1}' y1='{2}' y2='{2}' stroke='#ddd'/><text x='{3}' y='{4}' "
          "text-anchor='end'>{5:.1f}</text>\n",
          left, left + kSize, y(i / 10.0), left - 6, y(i / 10.0) + 4, i / 10.0);
      svg_ += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{:.1f}</text>\n", x(i / 10.0),
                          kTop + kSize + 16, i / 10.0);
    }
    svg_ += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", left + kSize / 2,
                        kTop + kSize + 34, across);
    svg_ += fmt::format("<text x='{}' y='42' text-anchor='end'>{}</text>\n", left + 20, up);
  }
  template <typename Values>
  void line(const Values& values, double first, double last, const std::string& name) {
    static constexpr const char* kColors[] = {"#1f6fb4", "#d9541e", "#2a9d4e", "#8a4fbf",
                                              "#c2368c", "#7a7a1f", "#17a2a2", "#555555"};
    const char* color = kColors[static_cast<std::size_t>(lines_) % std::size(kColors)];
    std::string points;
    const auto count = static_cast<double>(values.size() - 1);
    for (std::size_t i = 0; i < values.size(); ++i) {
      points +=
          fmt::format("{:.1f},{:.1f} ", x(first + (last - first) * static_cast<double>(i) / count),
                      y(values[i]));
    }
    svg_ += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='2'/>\n",
                        points, color);
    svg_ += fmt::format("<text x='{}' y='{}' fill='{}'>{}</text>\n", left_ + 10,
                        kTop + kSize - 12 - 16 * lines_, color, name);
    ++lines_;
  }
  const std::string& svg() const { return svg_; }

 private:
  double x(double v) const { return left_ + v * kSize; }
  static double y(double v) { return kTop + (1 - v) * kSize; }
  int left_, lines_ = 0;
  std::string svg_;
};

}  // namespace

Report evaluate(const Recording& result, const Recording& truth, const EvalOptions& options) {
  const std::vector<FramePair> frames = pair_frames(result, truth, options.partial);
  Report report;
  report.frames = frames.size();
  report.labels = truth.labels;
  report.boxes = measure_precision(frames, Likeness::kBox, options.classes);
  if (report.boxes.classes.empty()) {
    throw Error(ErrorCode::kUsage,
                fmt::format("the truth '{}' has no objects of the classes asked for", truth.path));
  }
  if (any_found(frames, [](const Object& o) { return !o.mask.counts.empty(); })) {
    report.masks = measure_precision(frames, Likeness::kMask, options.classes);
  }
  if (any_found(frames, [](const Object& o) { return !o.keypoints.empty(); })) {
    report.keypoints = measure_precision(frames, Likeness::kKeypoints, options.classes);
  }
  if (any_found(frames, [](const Object& o) { return o.track != kNoTrack; })) {
    report.tracking = measure_tracking(frames, options.classes);
  }
  if (any_found(frames, [](const Object& o) { return !o.embedding.empty(); })) {
    report.reid = measure_reid(frames, options.classes);
  }
  return report;
}

std::string to_text(const Report& report) {
  std::string text =
      fmt::format("{} frames\n\n", report.frames) + precision_text(report, "boxes", report.boxes);
  if (report.masks) text.append("\n").append(precision_text(report, "masks", *report.masks));
  if (report.keypoints)
    text.append("\n").append(precision_text(report, "keypoints", *report.keypoints));
  if (report.tracking) {
    const TrackingReport& t = *report.tracking;
    text += fmt::format("\ntracks            {:>8}{:>8}{:>8}{:>8}{:>8}{:>9}{:>8}{:>9}{:>16}\n",
                        "HOTA", "DetA", "AssA", "MOTA", "IDF1", "switches", "missed", "invented",
                        "tracks (truth)");
    text += fmt::format(
        "  all             {:>8.4f}{:>8.4f}{:>8.4f}{:>8.4f}{:>8.4f}{:>9}{:>8}{:>9}{:>10} ({})\n",
        t.hota, t.detection_accuracy, t.association_accuracy, t.mota, t.idf1, t.switches, t.missed,
        t.invented, t.result_tracks, t.truth_tracks);
  }
  if (report.reid) {
    text += fmt::format("\nembeddings        rank-1 {:.4f} of {} queries, {} identities\n",
                        report.reid->rank1, report.reid->queries, report.reid->identities);
  }
  return text;
}

std::string to_json(const Report& report) {
  Json json = {{"frames", report.frames}, {"boxes", precision_json(report, report.boxes)}};
  if (report.masks) json["masks"] = precision_json(report, *report.masks);
  if (report.keypoints) json["keypoints"] = precision_json(report, *report.keypoints);
  if (report.tracking) json["tracking"] = tracking_json(*report.tracking);
  if (report.reid) {
    json["reid"] = {{"rank1", report.reid->rank1},
                    {"queries", report.reid->queries},
                    {"identities", report.reid->identities}};
  }
  return json.dump(2) + "\n";
}

std::string to_svg(const Report& report) {
  std::vector<std::string> charts;
  const auto precision_chart = [&](const char* title, const PrecisionReport& p) {
    Chart chart(50 + static_cast<int>(charts.size()) * 400,
                fmt::format("{}: mAP50 {:.3f}", title, p.map50()), "recall", "precision");
    for (const auto& [id, c] : p.classes)
      chart.line(c.curve_at_50, 0, 1, fmt::format("{} {:.3f}", label_of(report, id), c.average[0]));
    charts.push_back(chart.svg());
  };
  precision_chart("boxes", report.boxes);
  if (report.masks) precision_chart("masks", *report.masks);
  if (report.keypoints) precision_chart("keypoints", *report.keypoints);
  if (report.tracking) {
    Chart chart(50 + static_cast<int>(charts.size()) * 400,
                fmt::format("tracks: HOTA {:.3f}", report.tracking->hota), "IoU asked for", "HOTA");
    chart.line(report.tracking->hota_at, 0.05, 0.95,
               fmt::format("HOTA, IDF1 {:.3f}", report.tracking->idf1));
    charts.push_back(chart.svg());
  }
  const std::size_t width = charts.size() * 400 + 10;
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='420' viewBox='0 0 {0} 420' "
      "font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n",
      width);
  for (const std::string& chart : charts) svg += chart;
  return svg + "</svg>\n";
}

}  // namespace peregrine::eval
