// SPDX-License-Identifier: Apache-2.0
#include "cli/load_chart.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace peregrine::cli {
namespace {

constexpr double kLeft = 60, kTop = 50, kWidth = 560, kHeight = 300;

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      default: safe += c;
    }
  }
  return safe;
}

// An axis of four steps of 1, 2, 2.5 or 5 times a power of ten (whole ones) that reaches `most`.
double axis_for(double most) {
  const double step = std::max(1.0, most / 4);
  const double ten = std::pow(10.0, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * ten >= step && std::fmod(factor * ten, 1.0) == 0) return 4 * factor * ten;
  }
  return 40 * ten;
}

class Chart {
 public:
  Chart(double most_streams, double most_ms) : most_streams_(most_streams), most_ms_(most_ms) {
    svg_ = fmt::format("<rect x='{}' y='{}' width='{}' height='{}' fill='none' stroke='#888'/>\n",
                       kLeft, kTop, kWidth, kHeight);
    for (int i = 0; i <= 4; ++i) {
      const double streams = most_streams * i / 4, ms = most_ms * i / 4;
      text(x(streams), kTop + kHeight + 18, "middle", "#000", fmt::format("{:.4g}", streams));
      text(kLeft - 8, y(ms) + 4, "end", "#000", fmt::format("{:.3g}", ms));
      if (i > 0 && i < 4) line(kLeft, y(ms), kLeft + kWidth, y(ms), "#ddd", "");
    }
    text(kLeft + kWidth / 2, kTop + kHeight + 38, "middle", "#000", "streams");
    text(kLeft, kTop - 10, "end", "#000", "ms");
  }

  void bound(double ms) { line(kLeft, y(ms), kLeft + kWidth, y(ms), "#c33", "6 4"); }
  void knee(double streams) {
    line(x(streams), kTop, x(streams), kTop + kHeight, "#2a9d4e", "6 4");
  }

  void curve(const std::vector<std::pair<double, double>>& points, const char* color,
             const std::string& name) {
    std::string path;
    for (const auto& [streams, ms] : points) {
      path += fmt::format("{:.1f},{:.1f} ", x(streams), y(ms));
      svg_ += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3' fill='{}'/>\n", x(streams), y(ms),
                          color);
    }
    svg_ += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='2'/>\n", path,
                        color);
    text(kLeft + 12, kTop + 20 + 16 * curves_++, "start", color, name);
  }

  std::string whole(const std::string& title) const {
    return fmt::format(
        "<svg xmlns='http://www.w3.org/2000/svg' width='660' height='400' viewBox='0 0 660 400' "
        "font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' "
        "fill='white'/>\n"
        "<text x='{}' y='22' font-size='11' font-weight='bold'>{}</text>\n{}</svg>\n",
        kLeft, escaped(title), svg_);
  }

 private:
  double x(double streams) const { return kLeft + kWidth * streams / most_streams_; }
  double y(double ms) const { return kTop + kHeight * (1 - std::min(ms, most_ms_) / most_ms_); }
  void line(double x1, double y1, double x2, double y2, const char* color, const char* dashes) {
    svg_ += fmt::format(
        "<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='{}' "
        "stroke-dasharray='{}'/>\n",
        x1, y1, x2, y2, color, dashes);
  }
  void text(double at_x, double at_y, const char* anchor, const char* color,
            const std::string& words) {
    svg_ += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='{}' fill='{}'>{}</text>\n", at_x,
                        at_y, anchor, color, escaped(words));
  }

  const double most_streams_, most_ms_;
  int curves_ = 0;
  std::string svg_;
};

}  // namespace

std::string load_chart(const std::vector<pipeline::Load>& loads, double bound_seconds, int knee,
                       const std::string& title) {
  std::vector<std::pair<double, double>> medians, tails;
  double most = 1;
  for (const pipeline::Load& load : loads) {
    if (load.latency.count() == 0) continue;  // it could not be run
    most = std::max<double>(most, load.streams);
    medians.emplace_back(load.streams, load.latency.percentile_seconds(0.5) * 1e3);
    tails.emplace_back(load.streams, load.latency.percentile_seconds(0.95) * 1e3);
  }
  std::sort(medians.begin(), medians.end());
  std::sort(tails.begin(), tails.end());
  Chart chart(axis_for(most), bound_seconds * 3e3);
  chart.bound(bound_seconds * 1e3);
  if (knee > 0) chart.knee(knee);
  chart.curve(medians, "#1f6fb4", "p50 from packet to answer");
  chart.curve(tails, "#d9541e", "p95");
  return chart.whole(title);
}

}  // namespace peregrine::cli
