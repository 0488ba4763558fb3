// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <span>
#include <vector>

#include "eval/similarity.h"

namespace peregrine::eval {

constexpr int kThresholds = 10;     ///< similarity 0.50, 0.55 ... 0.95
constexpr int kRecallPoints = 101;  ///< recall 0, 0.01 ... 1

struct ClassPrecision {
  std::array<double, kThresholds> average{};        ///< AP at each threshold
  std::array<double, kRecallPoints> curve_at_50{};  ///< precision over recall, threshold 0.5
  int wanted = 0;                                   ///< true objects not to be ignored
};

/// COCO's mean average precision.
struct PrecisionReport {
  std::map<int, ClassPrecision> classes;  ///< of those that the truth has
  double map50() const;
  double map75() const;
  double map() const;  ///< over thresholds 0.50 to 0.95
};

/// COCO's evaluation over all object sizes, equal to pycocotools: at most 100 found objects a frame
/// and class (20 for keypoints, persons only), greedy matching by falling score, precision made
/// monotone and read at 101 recalls. Only `classes` count; empty means all.
PrecisionReport measure_precision(std::span<const FramePair> frames, Likeness likeness,
                                  std::span<const int> classes);

}  // namespace peregrine::eval
