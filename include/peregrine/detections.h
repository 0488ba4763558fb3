// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "peregrine/depth.h"
#include "peregrine/frame.h"

namespace peregrine {

/// Corners in source pixels, `x1 <= x2`, `y1 <= y2`; pixel centres lie at half-integers.
struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  constexpr float width() const { return x2 - x1; }
  constexpr float height() const { return y2 - y1; }
  constexpr float area() const { return width() * height(); }
  friend bool operator==(const Box&, const Box&) = default;
};

/// Intersection over union; 0 when both are empty.
PEREGRINE_API float iou(const Box& a, const Box& b);

/// An oriented box: centre, size and angle in radians, clockwise from the x axis (y points down),
/// in [-pi/4, 3pi/4).
struct OrientedBox {
  float cx = 0, cy = 0, width = 0, height = 0, angle = 0;
};

/// A body point in source pixels; `score` in [0, 1].
struct Keypoint {
  float x = 0, y = 0, score = 0;
};

/// A binary mask as run lengths in column-major order, the first run counting zeros: COCO's RLE,
/// uncompressed.
struct Mask {
  int width = 0;
  int height = 0;
  std::vector<std::uint32_t> counts;
};

constexpr std::int64_t kNoTrack = -1;

/// What was found in one frame: structure of arrays, in source pixels, ordered by falling score.
/// `boxes`, `scores` and `classes` always have `size()` entries; each further array is empty or has
/// one entry (or one fixed-size group) an object. Where several models answer, some objects have a
/// mask or keypoints and others do not: `has_mask`, `has_keypoints`.
struct PEREGRINE_API Detections {
  std::vector<Box> boxes;
  std::vector<float> scores;
  std::vector<int> classes;
  std::vector<std::int64_t> tracks;  ///< track id from 1, or `kNoTrack`
  std::vector<OrientedBox> oriented;
  std::vector<Keypoint> keypoints;  ///< `size() * keypoints_per_object`
  int keypoints_per_object = 0;
  std::vector<Mask> masks;  ///< at the source's resolution
  std::vector<float>
      embeddings;  ///< `size() * embedding_size`, unit length; all zero where not computed
  int embedding_size = 0;

  std::size_t size() const { return boxes.size(); }
  bool empty() const { return boxes.empty(); }
  std::span<const Keypoint> keypoints_of(std::size_t object) const;
  std::span<const float> embedding_of(std::size_t object) const;
  bool has_mask(std::size_t object) const;
  /// Not all of them zero.
  bool has_keypoints(std::size_t object) const;
  /// Keeps the objects at `indices`, in that order, in every array present.
  Detections select(std::span<const int> indices) const;
};

/// A class and its probability, for whole-picture classification.
struct ClassScore {
  int class_id = 0;
  float score = 0;
};

/// The answer for one frame.
struct FrameResult {
  FrameInfo frame;
  Detections detections;
  std::vector<ClassScore>
      classes;  ///< top classes, best first, of a classification model; else empty
  std::vector<float>
      embedding;   ///< unit-length picture embedding of an embedding model; else empty
  DepthMap depth;  ///< of a depth model; else empty
};

/// Time of a live stream that was never received. Nothing is invented for it.
struct StreamGap {
  int stream = 0;
  double from_seconds = 0;  ///< PTS of the last frame before the gap
  double to_seconds = 0;    ///< PTS of the first frame after it, on the same clock
  std::string reason;       ///< "stalled", "connection lost", ...
};

}  // namespace peregrine
