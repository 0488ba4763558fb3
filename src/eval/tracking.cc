// SPDX-License-Identifier: Apache-2.0
#include "eval/tracking.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "eval/similarity.h"

namespace peregrine::eval {
namespace {

constexpr double kTiny = std::numeric_limits<double>::epsilon();
constexpr double kMatch = 0.5;

/// One frame with identities as small numbers, after the ignored were taken out.
struct Step {
  std::vector<int> truth, found;
  Matrix alike{0, 0};
};

/// Numbers identities from 0; the same number of two classes or streams is two identities.
class Identities {
 public:
  int of(int stream, const Object& object) {
    return table_
        .try_emplace({stream, object.class_id, object.track}, static_cast<int>(table_.size()))
        .first->second;
  }
  int count() const { return static_cast<int>(table_.size()); }

 private:
  std::map<std::tuple<int, int, std::int64_t>, int> table_;
};

bool is_chosen(int class_id, std::span<const int> classes) {
  return classes.empty() || std::find(classes.begin(), classes.end(), class_id) != classes.end();
}

Matrix compare(const std::vector<const Object*>& truth, const std::vector<const Object*>& found) {
  Matrix alike(truth.size(), found.size());
  for (std::size_t g = 0; g < truth.size(); ++g) {
    Object plain;  // as a box that is asked for: IoU, not intersection over found area
    plain.box = truth[g]->box;
    for (std::size_t d = 0; d < found.size(); ++d) {
      if (truth[g]->class_id == found[d]->class_id)
        alike(g, d) = similarity(Likeness::kBox, *found[d], plain);
    }
  }
  return alike;
}

/// Takes out the ignored and whatever stands in their place: of each pair of an optimal matching at
/// IoU 0.5 whose true side is ignored, the found side is not judged.
void leave_out_ignored(std::vector<const Object*>& truth, std::vector<const Object*>& found) {
  Matrix alike = compare(truth, found);
  for (double& v : alike.values) v = v < kMatch - kTiny ? 0 : v;
  const std::vector<int> partner = best_pairs(alike);
  std::vector<char> drop(found.size(), 0);
  for (std::size_t g = 0; g < truth.size(); ++g) {
    if (partner[g] < 0) continue;
    const auto d = static_cast<std::size_t>(partner[g]);
    if (truth[g]->ignore && alike(g, d) > kTiny) drop[d] = 1;
  }
  std::vector<const Object*> judged;
  for (std::size_t d = 0; d < found.size(); ++d) {
    if (!drop[d]) judged.push_back(found[d]);
  }
  found = std::move(judged);
  std::erase_if(truth, [](const Object* o) { return o->ignore; });
}

struct Clip {
  std::vector<Step> steps;
  int truth_count = 0, found_count = 0;
  std::vector<double> truth_frames, found_frames;  // by identity
};

Clip prepare(std::span<const FramePair> frames, std::span<const int> classes) {
  Clip clip;
  Identities truth_ids, found_ids;
  for (const FramePair& pair : frames) {
    std::vector<const Object*> truth, found;
    for (const Object& o : pair.truth->objects) {
      if (is_chosen(o.class_id, classes) && o.track != kNoTrack) truth.push_back(&o);
    }
    for (const Object& o : pair.result->objects) {
      if (is_chosen(o.class_id, classes) && o.track != kNoTrack) found.push_back(&o);
    }
    leave_out_ignored(truth, found);
    Step step;
    for (const Object* o : truth) step.truth.push_back(truth_ids.of(pair.truth->stream, *o));
    for (const Object* o : found) step.found.push_back(found_ids.of(pair.truth->stream, *o));
    step.alike = compare(truth, found);
    clip.steps.push_back(std::move(step));
  }
  clip.truth_count = truth_ids.count();
  clip.found_count = found_ids.count();
  clip.truth_frames.assign(static_cast<std::size_t>(clip.truth_count), 0);
  clip.found_frames.assign(static_cast<std::size_t>(clip.found_count), 0);
  for (const Step& step : clip.steps) {
    for (int id : step.truth) clip.truth_frames[static_cast<std::size_t>(id)] += 1;
    for (int id : step.found) clip.found_frames[static_cast<std::size_t>(id)] += 1;
  }
  return clip;
}

Matrix by_identity(const Clip& clip) {
  return Matrix(static_cast<std::size_t>(clip.truth_count),
                static_cast<std::size_t>(clip.found_count));
}

/// How well two identities fit over the whole clip, for HOTA's matching.
Matrix global_alignment(const Clip& clip) {
  Matrix together = by_identity(clip);
  for (const Step& s : clip.steps) {
    for (std::size_t g = 0; g < s.truth.size(); ++g) {
      double row = 0;
      for (std::size_t d = 0; d < s.found.size(); ++d) row += s.alike(g, d);
      for (std::size_t d = 0; d < s.found.size(); ++d) {
        double column = 0;
        for (std::size_t k = 0; k < s.truth.size(); ++k) column += s.alike(k, d);
        const double rest = row + column - s.alike(g, d);
        if (rest > kTiny) {
          together(static_cast<std::size_t>(s.truth[g]), static_cast<std::size_t>(s.found[d])) +=
              s.alike(g, d) / rest;
        }
      }
    }
  }
  for (std::size_t g = 0; g < together.rows; ++g) {
    for (std::size_t d = 0; d < together.columns; ++d) {
      together(g, d) /= clip.truth_frames[g] + clip.found_frames[d] - together(g, d);
    }
  }
  return together;
}

void measure_hota(const Clip& clip, TrackingReport& report) {
  const Matrix alignment = global_alignment(clip);
  std::vector<Matrix> matches(kHotaLevels, by_identity(clip));
  std::array<double, kHotaLevels> right{}, missed{}, invented{}, place{};
  for (const Step& s : clip.steps) {
    Matrix score = s.alike;
    for (std::size_t g = 0; g < score.rows; ++g) {
      for (std::size_t d = 0; d < score.columns; ++d) {
        score(g, d) *=
            alignment(static_cast<std::size_t>(s.truth[g]), static_cast<std::size_t>(s.found[d]));
      }
    }
    const std::vector<int> partner = best_pairs(score);
    for (std::size_t a = 0; a < kHotaLevels; ++a) {
      const double level = 0.05 + 0.05 * static_cast<double>(a);
      double count = 0;
      for (std::size_t g = 0; g < s.truth.size(); ++g) {
        if (partner[g] < 0) continue;
        const auto d = static_cast<std::size_t>(partner[g]);
        if (s.alike(g, d) < level - kTiny) continue;
        count += 1;
        place[a] += s.alike(g, d);
        matches[a](static_cast<std::size_t>(s.truth[g]), static_cast<std::size_t>(s.found[d])) += 1;
      }
      right[a] += count;
      missed[a] += static_cast<double>(s.truth.size()) - count;
      invented[a] += static_cast<double>(s.found.size()) - count;
    }
  }
  for (std::size_t a = 0; a < kHotaLevels; ++a) {
    double association = 0;
    for (std::size_t g = 0; g < matches[a].rows; ++g) {
      for (std::size_t d = 0; d < matches[a].columns; ++d) {
        const double m = matches[a](g, d);
        if (m > 0)
          association += m * m / std::max(1.0, clip.truth_frames[g] + clip.found_frames[d] - m);
      }
    }
    association /= std::max(1.0, right[a]);
    const double detection = right[a] / std::max(1.0, right[a] + missed[a] + invented[a]);
    report.hota_at[a] = std::sqrt(detection * association);
    report.hota += report.hota_at[a] / kHotaLevels;
    report.detection_accuracy += detection / kHotaLevels;
    report.association_accuracy += association / kHotaLevels;
    report.localisation_accuracy +=
        std::max(1e-10, place[a]) / std::max(1e-10, right[a]) / kHotaLevels;
  }
}

void measure_clear(const Clip& clip, TrackingReport& report) {
  std::vector<int> last(static_cast<std::size_t>(clip.truth_count), -1);      // ever matched
  std::vector<int> previous(static_cast<std::size_t>(clip.truth_count), -1);  // in the frame before
  double overlap = 0;
  for (const Step& s : clip.steps) {
    // Going on with the same identity outweighs any overlap.
    Matrix score = s.alike;
    for (std::size_t g = 0; g < score.rows; ++g) {
      for (std::size_t d = 0; d < score.columns; ++d) {
        const bool same = previous[static_cast<std::size_t>(s.truth[g])] == s.found[d];
        score(g, d) = score(g, d) < kMatch - kTiny ? 0 : score(g, d) + (same ? 1000.0 : 0.0);
      }
    }
    const std::vector<int> partner = best_pairs(score);
    std::fill(previous.begin(), previous.end(), -1);
    std::int64_t count = 0;
    for (std::size_t g = 0; g < s.truth.size(); ++g) {
      if (partner[g] < 0 || score(g, static_cast<std::size_t>(partner[g])) <= kTiny) continue;
      const auto d = static_cast<std::size_t>(partner[g]);
      const auto id = static_cast<std::size_t>(s.truth[g]);
      report.switches += last[id] >= 0 && last[id] != s.found[d];
      last[id] = previous[id] = s.found[d];
      overlap += s.alike(g, d);
      ++count;
    }
    report.matched += count;
    report.missed += static_cast<std::int64_t>(s.truth.size()) - count;
    report.invented += static_cast<std::int64_t>(s.found.size()) - count;
  }
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  report.mota = number(report.matched - report.invented - report.switches) /
                std::max(1.0, number(report.matched + report.missed));
  report.motp = overlap / std::max(1.0, number(report.matched));
}

void measure_identity(const Clip& clip, TrackingReport& report) {
  Matrix together = by_identity(clip);
  for (const Step& s : clip.steps) {
    for (std::size_t g = 0; g < s.truth.size(); ++g) {
      for (std::size_t d = 0; d < s.found.size(); ++d) {
        if (s.alike(g, d) >= kMatch) {
          together(static_cast<std::size_t>(s.truth[g]), static_cast<std::size_t>(s.found[d])) += 1;
        }
      }
    }
  }
  // Leaving both alone costs their frames and pairing them costs those not shared, so the best
  // matching is the one that shares most frames.
  const std::vector<int> partner = best_pairs(together);
  double shared = 0, truth = 0, found = 0;
  for (std::size_t g = 0; g < together.rows; ++g) {
    if (partner[g] >= 0) shared += together(g, static_cast<std::size_t>(partner[g]));
  }
  for (double n : clip.truth_frames) truth += n;
  for (double n : clip.found_frames) found += n;
  report.idf1 = shared / std::max(1.0, (truth + found) / 2);
  report.id_precision = shared / std::max(1.0, found);
  report.id_recall = shared / std::max(1.0, truth);
}

}  // namespace

TrackingReport measure_tracking(std::span<const FramePair> frames, std::span<const int> classes) {
  const Clip clip = prepare(frames, classes);
  TrackingReport report;
  report.truth_tracks = clip.truth_count;
  report.result_tracks = clip.found_count;
  measure_hota(clip, report);
  measure_clear(clip, report);
  measure_identity(clip, report);
  return report;
}

}  // namespace peregrine::eval
