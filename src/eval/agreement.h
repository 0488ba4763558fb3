// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "peregrine/detections.h"

namespace peregrine::eval {

/// When two answers count as the same.
struct AgreementLimits {
  float score = 0.25f;  ///< objects below it, on both sides, are not asked for
  double box_iou = 0.95;
  double score_difference = 0.01;
  double matched = 0.995;  ///< share of objects that must be matched
  double mask_iou = 0.98;
  double keypoint_pixels = 2;
  double cosine = 0.999;
  double depth_correlation = 0.999;
};

/// How well a model's answers agree with its reference's, over any number of pictures: what the
/// difference of raw outputs means for the task.
class Agreement {
 public:
  explicit Agreement(const AgreementLimits& limits = {}) : limits_(limits) {}

  /// Answers for one picture. Decode both with a confidence well below `limits.score`: an object
  /// just above it on one side may be just below it on the other.
  void add(const FrameResult& actual, const FrameResult& expected);

  /// One measure of the task, and whether it is within its limit.
  struct Measure {
    std::string name;  ///< "objects matched at IoU 0.95"
    double value = 0;
    double limit = 0;
    bool good = true;
    std::string detail;  ///< "1993 of 2000"
  };
  /// Those that the answers had something to say about.
  std::vector<Measure> measures() const;

 private:
  void add_objects(const Detections& actual, const Detections& expected);
  void compare(const Detections& actual, std::size_t i, const Detections& expected, std::size_t j);

  AgreementLimits limits_;
  std::int64_t pictures_ = 0;
  std::int64_t expected_ = 0, expected_matched_ = 0;  // objects of the reference
  std::int64_t actual_ = 0, actual_matched_ = 0;      // objects of the model
  double worst_score_ = 0, worst_mask_ = 1, keypoint_distance_ = 0;
  std::int64_t masks_ = 0, keypoints_ = 0;
  std::int64_t classified_ = 0, same_class_ = 0;
  std::int64_t embeddings_ = 0;
  double worst_cosine_ = 1;
  std::int64_t depths_ = 0;
  double worst_depth_ = 1;
};

}  // namespace peregrine::eval
