// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "peregrine/detections.h"
#include "vision/overlap.h"

namespace peregrine::vision {

/// More candidates than this are cut to the best ones before suppression, as YOLO's own code does.
constexpr std::size_t kMaxCandidates = 30000;

/// Greedy, class-aware non-maximum suppression; holds scratch memory, one a thread.
///
/// Keeps candidates in order of falling score; one is dropped when its overlap with a kept one of
/// its class is above `iou`. Ties keep the lower input index first, so the answer does not depend
/// on the device. The spans are one entry a candidate; classes are not negative. Returns at most
/// `limit` input indices, best first, valid until the next call.
/// Cost: O(n) for the sort, O(n * kept of the class / 8) for the overlaps.
/// Throws `Error(kInvalidShape)` when the spans differ in length.
class Suppressor {
 public:
  /// Equal to torchvision's `batched_nms`.
  std::span<const int> suppress(std::span<const Box> boxes, std::span<const float> scores,
                                std::span<const int> classes, float iou, int limit);
  /// Overlap is `prob_iou`, the measure that YOLO's oriented models are trained and evaluated with;
  /// it is smaller than the polygons' IoU when boxes touch. Greedy like the other (Ultralytics also
  /// lets a dropped box drop others, which loses objects in dense rows).
  std::span<const int> suppress_rotated(std::span<const OrientedBox> boxes,
                                        std::span<const float> scores, std::span<const int> classes,
                                        float iou, int limit);

 private:
  // Kept boxes of one class, eight at a time so that one pass of vector code compares with all.
  struct Block {
    std::array<float, 8> x1, y1, x2, y2, area;
    int used = 0;
    int next = -1;
  };

  void sort_by_score(std::span<const float> scores);
  void reset_classes(std::span<const int> classes);
  static bool overlaps(const Block& block, const Box& box, float iou);
  void keep(const Box& box, int class_id);

  std::vector<std::uint64_t> order_, order_scratch_;  // inverted score bits << 32 | input index
  std::vector<int> newest_;                           // by class: its newest block or kept box
  std::vector<Block> blocks_;
  std::vector<int> previous_;  // by kept box: the kept box of the class before it
  std::vector<Gaussian> kept_shapes_;
  std::vector<int> kept_;
};

/// `gaussian_overlap` of the two.
float prob_iou(const OrientedBox& a, const OrientedBox& b);

}  // namespace peregrine::vision
