// SPDX-License-Identifier: Apache-2.0
// What suppression computes from two candidates: the same operations in the same order on every
// device, so that a threshold falls alike (device code is built without fused multiply-adds).
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "peregrine/detections.h"

namespace peregrine::vision {

/// Unsigned integers that order as the floats do, the highest score first.
PEREGRINE_HOST_DEVICE std::uint32_t falling_key(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}
PEREGRINE_HOST_DEVICE float score_of_key(std::uint32_t key) {
  return std::bit_cast<float>(key & 0x80000000u ? key : ~(key | 0x80000000u));
}

PEREGRINE_HOST_DEVICE float common_area(const Box& kept, const Box& box) {
  const float width = std::min(kept.x2, box.x2) - std::max(kept.x1, box.x1);
  const float height = std::min(kept.y2, box.y2) - std::max(kept.y1, box.y1);
  return (width > 0 ? width : 0) * (height > 0 ? height : 0);
}

/// An oriented box as the Gaussian of equal mean and covariance [xx xy; xy yy]: that of a uniform
/// box (side^2 / 12) turned by its angle.
struct Gaussian {
  double xx = 0, yy = 0, xy = 0;
  float cx = 0, cy = 0;
};

PEREGRINE_HOST_DEVICE Gaussian gaussian_of(const OrientedBox& box) {
  const double along = static_cast<double>(box.width) * box.width / 12;
  const double across = static_cast<double>(box.height) * box.height / 12;
  const double cosine = std::cos(static_cast<double>(box.angle));
  const double sine = std::sin(static_cast<double>(box.angle));
  return {along * cosine * cosine + across * sine * sine,
          along * sine * sine + across * cosine * cosine, (along - across) * cosine * sine, box.cx,
          box.cy};
}

/// Overlap of two oriented boxes seen as Gaussians: 1 - Hellinger distance, in [0, 1] (Llerena et
/// al., "Probabilistic Intersection-over-Union for training and evaluation of oriented object
/// detectors", 2021).
PEREGRINE_HOST_DEVICE float gaussian_overlap(const Gaussian& p, const Gaussian& q) {
  constexpr double kTiny = 1e-7;  // keeps boxes without area finite
  const double xx = p.xx + q.xx, yy = p.yy + q.yy, xy = p.xy + q.xy;
  const double dx = static_cast<double>(p.cx) - q.cx, dy = static_cast<double>(p.cy) - q.cy;
  const double determinant = xx * yy - xy * xy + kTiny;
  const double p_determinant = std::max(p.xx * p.yy - p.xy * p.xy, 0.0);
  const double q_determinant = std::max(q.xx * q.yy - q.xy * q.xy, 0.0);
  // Bhattacharyya distance of the two.
  const double apart = (yy * dx * dx + xx * dy * dy - 2 * xy * dx * dy) / determinant / 4;
  const double unlike =
      0.5 * std::log(determinant / (4 * std::sqrt(p_determinant * q_determinant) + kTiny) + kTiny);
  const double distance = std::clamp(apart + unlike, kTiny, 100.0);
  return static_cast<float>(1 - std::sqrt(1 - std::exp(-distance) + kTiny));
}

/// A Bhattacharyya distance beyond which `gaussian_overlap` surely is not above `overlap`; not a
/// number, or infinite, where there is none.
inline double distance_beyond(float overlap) {
  const double apart = 1 - static_cast<double>(overlap);
  return 0.01 - std::log(1 - apart * apart);  // more than all rounding makes of it
}

/// Whether two boxes are further apart than `distance`: most are, and without a logarithm and an
/// exponential that is seen ten times as fast. Says no where rounding might matter.
PEREGRINE_HOST_DEVICE bool beyond(const Gaussian& p, const Gaussian& q, double distance) {
  const double xx = p.xx + q.xx, yy = p.yy + q.yy, xy = p.xy + q.xy;
  const double dx = static_cast<double>(p.cx) - q.cx, dy = static_cast<double>(p.cy) - q.cy;
  const double determinant = xx * yy - xy * xy;
  // The second term of the distance is never below zero, as long as determinants are well known.
  return determinant > 1e-6 * xx * yy && determinant > 1e-3 &&
         yy * dx * dx + xx * dy * dy - 2 * xy * dx * dy > 4 * determinant * distance;
}

}  // namespace peregrine::vision
