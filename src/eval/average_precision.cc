// SPDX-License-Identifier: Apache-2.0
#include "eval/average_precision.h"

#include <algorithm>
#include <limits>
#include <set>

namespace peregrine::eval {
namespace {

constexpr int kPerson = 0;

/// What became of one found object at each threshold.
struct Verdict {
  float score;
  std::array<bool, kThresholds> right{};
  std::array<bool, kThresholds> excused{};  // it matched an object that is to be ignored
};

std::array<double, kThresholds> thresholds() {
  // As numpy's linspace(0.5, 0.95, 10) rounds them.
  std::array<double, kThresholds> values{};
  const double step = (0.95 - 0.5) / (kThresholds - 1);
  for (int i = 0; i < kThresholds; ++i) values[static_cast<std::size_t>(i)] = i * step + 0.5;
  values.back() = 0.95;
  return values;
}

struct Wanted {
  const Object* object;
  bool ignore;
};

/// Keypoint truth without one marked point asks for nothing.
bool is_ignored(const Object& truth, Likeness likeness) {
  if (truth.ignore || likeness != Likeness::kKeypoints) return truth.ignore;
  return std::none_of(truth.keypoints.begin(), truth.keypoints.end(),
                      [](const Keypoint& k) { return k.score > 0; });
}

std::vector<Verdict> judge_frame(std::vector<const Object*> found, std::vector<Wanted> truth,
                                 Likeness likeness) {
  std::stable_sort(found.begin(), found.end(),
                   [](const Object* a, const Object* b) { return a->score > b->score; });
  found.resize(std::min<std::size_t>(found.size(), likeness == Likeness::kKeypoints ? 20 : 100));
  std::stable_sort(truth.begin(), truth.end(),
                   [](const Wanted& a, const Wanted& b) { return a.ignore < b.ignore; });
  Matrix alike(found.size(), truth.size());
  for (std::size_t d = 0; d < found.size(); ++d) {
    for (std::size_t g = 0; g < truth.size(); ++g)
      alike(d, g) = similarity(likeness, *found[d], *truth[g].object);
  }
  std::vector<Verdict> verdicts(found.size());
  const auto levels = thresholds();
  for (std::size_t t = 0; t < levels.size(); ++t) {
    std::vector<char> taken(truth.size(), 0);
    for (std::size_t d = 0; d < found.size(); ++d) {
      verdicts[d].score = found[d]->score;
      double best = std::min(levels[t], 1 - 1e-10);
      std::size_t match = truth.size();
      for (std::size_t g = 0; g < truth.size(); ++g) {
        // A crowd may be matched again and again; a real match is never given up for an ignored
        // one.
        if (taken[g] && !truth[g].object->ignore) continue;
        if (match < truth.size() && !truth[match].ignore && truth[g].ignore) break;
        if (alike(d, g) < best) continue;
        best = alike(d, g);
        match = g;
      }
      if (match == truth.size()) continue;
      taken[match] = 1;
      verdicts[d].excused[t] = truth[match].ignore;
      verdicts[d].right[t] = !truth[match].ignore;
    }
  }
  return verdicts;
}

/// Fills AP and curve of one threshold from verdicts by falling score.
double accumulate(std::span<const Verdict> verdicts, std::size_t t, int wanted,
                  std::array<double, kRecallPoints>& curve) {
  std::vector<double> recall, precision;
  double right = 0, wrong = 0;
  for (const Verdict& v : verdicts) {
    if (!v.excused[t]) (v.right[t] ? right : wrong) += 1;
    recall.push_back(right / wanted);
    precision.push_back(right / (right + wrong + std::numeric_limits<double>::epsilon()));
  }
  for (std::size_t i = precision.size(); i-- > 1;)
    precision[i - 1] = std::max(precision[i - 1], precision[i]);
  double sum = 0;
  for (int r = 0; r < kRecallPoints; ++r) {
    const double level = r == kRecallPoints - 1 ? 1.0 : r * 0.01;
    const auto at = std::lower_bound(recall.begin(), recall.end(), level) - recall.begin();
    const double value = static_cast<std::size_t>(at) < precision.size()
                             ? precision[static_cast<std::size_t>(at)]
                             : 0;
    curve[static_cast<std::size_t>(r)] = value;
    sum += value;
  }
  return sum / kRecallPoints;
}

double mean_over_classes(const std::map<int, ClassPrecision>& classes, std::size_t first,
                         std::size_t last) {
  double sum = 0;
  for (const auto& [id, c] : classes) {
    for (std::size_t t = first; t < last; ++t) sum += c.average[t];
  }
  const auto count = static_cast<double>(classes.size() * (last - first));
  return count > 0 ? sum / count : 0;
}

}  // namespace

double PrecisionReport::map50() const { return mean_over_classes(classes, 0, 1); }
double PrecisionReport::map75() const { return mean_over_classes(classes, 5, 6); }
double PrecisionReport::map() const { return mean_over_classes(classes, 0, kThresholds); }

PrecisionReport measure_precision(std::span<const FramePair> frames, Likeness likeness,
                                  std::span<const int> classes) {
  std::set<int> wanted_classes;
  for (const FramePair& pair : frames) {
    for (const Object& object : pair.truth->objects) {
      const bool chosen = classes.empty() || std::find(classes.begin(), classes.end(),
                                                       object.class_id) != classes.end();
      if (chosen && (likeness != Likeness::kKeypoints || object.class_id == kPerson))
        wanted_classes.insert(object.class_id);
    }
  }
  PrecisionReport report;
  for (int id : wanted_classes) {
    ClassPrecision result;
    std::vector<Verdict> verdicts;
    for (const FramePair& pair : frames) {
      std::vector<const Object*> found;
      for (const Object& object : pair.result->objects) {
        if (object.class_id == id) found.push_back(&object);
      }
      std::vector<Wanted> truth;
      for (const Object& object : pair.truth->objects) {
        if (object.class_id != id) continue;
        truth.push_back({&object, is_ignored(object, likeness)});
        result.wanted += !truth.back().ignore;
      }
      const auto judged = judge_frame(std::move(found), std::move(truth), likeness);
      verdicts.insert(verdicts.end(), judged.begin(), judged.end());
    }
    if (result.wanted == 0) continue;
    std::stable_sort(verdicts.begin(), verdicts.end(),
                     [](const Verdict& a, const Verdict& b) { return a.score > b.score; });
    std::array<double, kRecallPoints> curve{};
    for (std::size_t t = 0; t < kThresholds; ++t) {
      result.average[t] = accumulate(verdicts, t, result.wanted, curve);
      if (t == 0) result.curve_at_50 = curve;
    }
    report.classes.emplace(id, result);
  }
  return report;
}

}  // namespace peregrine::eval
