// SPDX-License-Identifier: Apache-2.0
#include "peregrine/detections.h"

#include <algorithm>

namespace peregrine {

const char* to_string(PixelFormat format) {
  switch (format) {
    case PixelFormat::kYuv420p: return "yuv420p";
    case PixelFormat::kYuv444p: return "yuv444p";
    case PixelFormat::kNv12: return "nv12";
    case PixelFormat::kP010: return "p010";
    case PixelFormat::kRgb24: return "rgb24";
    case PixelFormat::kGray8: return "gray8";
  }
  return "?";
}

int plane_count(PixelFormat format) {
  switch (format) {
    case PixelFormat::kYuv420p:
    case PixelFormat::kYuv444p: return 3;
    case PixelFormat::kNv12:
    case PixelFormat::kP010: return 2;
    case PixelFormat::kRgb24:
    case PixelFormat::kGray8: return 1;
  }
  return 0;
}

float iou(const Box& a, const Box& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  const float intersection = width * height;
  return intersection / (a.area() + b.area() - intersection);
}

std::span<const Keypoint> Detections::keypoints_of(std::size_t object) const {
  if (keypoints.empty()) return {};
  const auto count = static_cast<std::size_t>(keypoints_per_object);
  return std::span(keypoints).subspan(object * count, count);
}

bool Detections::has_mask(std::size_t object) const {
  return !masks.empty() && masks[object].width > 0;
}

bool Detections::has_keypoints(std::size_t object) const {
  const std::span<const Keypoint> points = keypoints_of(object);
  return std::any_of(points.begin(), points.end(), [](const Keypoint& point) {
    return point.score != 0 || point.x != 0 || point.y != 0;
  });
}

std::span<const float> Detections::embedding_of(std::size_t object) const {
  if (embeddings.empty()) return {};
  const auto count = static_cast<std::size_t>(embedding_size);
  return std::span(embeddings).subspan(object * count, count);
}

namespace {

// Picks groups of `group` values; an absent (empty) array stays absent.
template <typename T>
std::vector<T> pick(const std::vector<T>& from, std::span<const int> indices, int group = 1) {
  std::vector<T> to;
  if (from.empty()) return to;
  to.reserve(indices.size() * static_cast<std::size_t>(group));
  for (const int index : indices) {
    const auto first = from.begin() + static_cast<std::ptrdiff_t>(index) * group;
    to.insert(to.end(), first, first + group);
  }
  return to;
}

}  // namespace

Detections Detections::select(std::span<const int> indices) const {
  Detections out;
  out.boxes = pick(boxes, indices);
  out.scores = pick(scores, indices);
  out.classes = pick(classes, indices);
  out.tracks = pick(tracks, indices);
  out.oriented = pick(oriented, indices);
  out.keypoints = pick(keypoints, indices, keypoints_per_object);
  out.keypoints_per_object = keypoints_per_object;
  out.masks = pick(masks, indices);
  out.embeddings = pick(embeddings, indices, embedding_size);
  out.embedding_size = embedding_size;
  return out;
}

}  // namespace peregrine
