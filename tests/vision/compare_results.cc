// SPDX-License-Identifier: Apache-2.0
#include "compare_results.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include <fmt/format.h>

namespace peregrine::vision {
namespace {

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

// Structures of floats, number by number.
template <typename T>
std::string compare_floats(const char* what, const std::vector<T>& got,
                           const std::vector<T>& wanted) {
  constexpr std::size_t kEach = sizeof(T) / sizeof(float);
  if (got.size() != wanted.size()) {
    return fmt::format("{} {} instead of {}", got.size(), what, wanted.size());
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto a = std::bit_cast<std::array<float, kEach>>(got[i]);
    const auto b = std::bit_cast<std::array<float, kEach>>(wanted[i]);
    for (std::size_t k = 0; k < kEach; ++k) {
      if (!same(a[k], b[k])) {
        return fmt::format("{} {}, number {}: {:.9g} instead of {:.9g}", what, i, k, a[k], b[k]);
      }
    }
  }
  return {};
}

std::string compare_masks(const std::vector<Mask>& got, const std::vector<Mask>& wanted) {
  if (got.size() != wanted.size()) {
    return fmt::format("{} masks instead of {}", got.size(), wanted.size());
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i].width != wanted[i].width || got[i].height != wanted[i].height) {
      return fmt::format("mask {} is {}x{}", i, got[i].width, got[i].height);
    }
    if (got[i].counts == wanted[i].counts) continue;
    const auto [a, b] = std::mismatch(got[i].counts.begin(), got[i].counts.end(),
                                      wanted[i].counts.begin(), wanted[i].counts.end());
    return fmt::format("mask {} of {}x{}: {} runs instead of {}, the first that differs is {}", i,
                       got[i].width, got[i].height, got[i].counts.size(), wanted[i].counts.size(),
                       a - got[i].counts.begin());
  }
  return {};
}

}  // namespace

std::string difference(const FrameResult& got, const FrameResult& wanted) {
  const Detections& a = got.detections;
  const Detections& b = wanted.detections;
  std::string text = compare_floats("boxes", a.boxes, b.boxes);
  if (text.empty()) text = compare_floats("scores", a.scores, b.scores);
  if (text.empty() && a.classes != b.classes) text = "classes differ";
  if (text.empty()) text = compare_floats("oriented boxes", a.oriented, b.oriented);
  if (text.empty()) text = compare_floats("keypoints", a.keypoints, b.keypoints);
  if (text.empty() && a.keypoints_per_object != b.keypoints_per_object) {
    text = fmt::format("{} keypoints an object", a.keypoints_per_object);
  }
  if (text.empty()) text = compare_masks(a.masks, b.masks);
  if (text.empty()) text = compare_floats("features", got.embedding, wanted.embedding);
  if (text.empty()) text = compare_floats("depths", got.depth.values, wanted.depth.values);
  if (text.empty() && (got.depth.width != wanted.depth.width || got.depth.min != wanted.depth.min ||
                       got.depth.max != wanted.depth.max)) {
    text = fmt::format("depth map of width {} from {} to {} instead of {} from {} to {}",
                       got.depth.width, got.depth.min, got.depth.max, wanted.depth.width,
                       wanted.depth.min, wanted.depth.max);
  }
  if (text.empty() && got.classes.size() != wanted.classes.size()) text = "classes differ";
  for (std::size_t i = 0; text.empty() && i < got.classes.size(); ++i) {
    if (got.classes[i].class_id != wanted.classes[i].class_id ||
        !same(got.classes[i].score, wanted.classes[i].score)) {
      text = fmt::format("class {}: {} with {:.9g} instead of {} with {:.9g}", i,
                         got.classes[i].class_id, got.classes[i].score, wanted.classes[i].class_id,
                         wanted.classes[i].score);
    }
  }
  return text;
}

}  // namespace peregrine::vision
