// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/average_precision.h"
#include "eval/reid.h"
#include "eval/tracking.h"

namespace peregrine::eval {

/// Everything that can be measured of a result: a part is there when the result has what it needs.
struct Report {
  std::size_t frames = 0;
  PrecisionReport boxes;
  std::optional<PrecisionReport> masks, keypoints;
  std::optional<TrackingReport> tracking;
  std::optional<ReidReport> reid;
  std::vector<std::string> labels;  ///< by class id
};

struct EvalOptions {
  std::vector<int> classes;  ///< empty: all that the truth has
  bool partial = false;      ///< judge only frames that the result has
};

/// Throws like `pair_frames`, and `Error(kUsage)` when the truth has none of `classes`.
Report evaluate(const Recording& result, const Recording& truth, const EvalOptions& options);

/// A table for people.
std::string to_text(const Report& report);
/// One JSON object, fractions unrounded.
std::string to_json(const Report& report);
/// An SVG of precision over recall for each class and of HOTA over localisation.
std::string to_svg(const Report& report);

}  // namespace peregrine::eval
