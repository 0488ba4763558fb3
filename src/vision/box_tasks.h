// SPDX-License-Identifier: Apache-2.0
// What boxes of pose and oriented models carry besides: the same operations on every device.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "core/host_device.h"
#include "vision/candidates.h"
#include "vision/letterbox.h"

namespace peregrine::vision {

/// The keypoint that starts at `channel`, in source pixels and clipped to the source. Points
/// without a score of their own (`values` is 2) get 1.
PEREGRINE_HOST_DEVICE Keypoint read_keypoint(const RawBoxes& raw, int anchor, int channel,
                                             int values, const Letterbox& letterbox) {
  Keypoint point{raw.at(anchor, channel), raw.at(anchor, channel + 1), 1.0f};
  if (values == 3) point.score = raw.at(anchor, channel + 2);
  letterbox.point_to_source(point.x, point.y);
  point.x = std::clamp(point.x, 0.0f, static_cast<float>(letterbox.source_width));
  point.y = std::clamp(point.y, 0.0f, static_cast<float>(letterbox.source_height));
  return point;
}

enum class BoxFormat : std::uint8_t {
  kCentred,     ///< cx cy w h in model input pixels
  kCorners,     ///< x1 y1 x2 y2 in model input pixels
  kNormalised,  ///< cx cy w h, 0 to 1 of the model's input
};

/// In model input pixels.
PEREGRINE_HOST_DEVICE Box read_box(const RawBoxes& raw, int anchor, BoxFormat format,
                                   float input_width, float input_height) {
  const float a = raw.at(anchor, 0), b = raw.at(anchor, 1);
  const float c = raw.at(anchor, 2), d = raw.at(anchor, 3);
  if (format == BoxFormat::kCorners) return {a, b, c, d};
  if (format == BoxFormat::kCentred) return {a - c / 2, b - d / 2, a + c / 2, b + d / 2};
  const float cx = a * input_width, cy = b * input_height;
  const float half_width = c * input_width / 2, half_height = d * input_height / 2;
  return {cx - half_width, cy - half_height, cx + half_width, cy + half_height};
}
/// cx cy w h and an angle in radians, in model input pixels.
PEREGRINE_HOST_DEVICE OrientedBox read_oriented(const RawBoxes& raw, int anchor,
                                                int angle_channel) {
  return {raw.at(anchor, 0), raw.at(anchor, 1), raw.at(anchor, 2), raw.at(anchor, 3),
          raw.at(anchor, angle_channel)};
}

// Angles are computed in double and rounded once: math libraries differ in the last bit of what
// they return, which is then not the last bit of the answer.

/// In source pixels, the angle in [-pi/4, 3pi/4).
PEREGRINE_HOST_DEVICE OrientedBox to_source(const OrientedBox& box, const Letterbox& letterbox) {
  OrientedBox out = box;
  letterbox.point_to_source(out.cx, out.cy);
  // The two scales differ by the rounding of the letterbox, so the sides turn and stretch a little.
  const double cosine = std::cos(static_cast<double>(box.angle));
  const double sine = std::sin(static_cast<double>(box.angle));
  const double scale_x = letterbox.scale_x, scale_y = letterbox.scale_y;
  out.width = static_cast<float>(box.width * std::hypot(cosine / scale_x, sine / scale_y));
  out.height = static_cast<float>(box.height * std::hypot(sine / scale_x, cosine / scale_y));
  constexpr float kPi = std::numbers::pi_v<float>;
  auto angle = static_cast<float>(std::atan2(sine / scale_y, cosine / scale_x));
  if (angle < -kPi / 4) angle += kPi;
  if (angle >= 3 * kPi / 4) angle -= kPi;
  out.angle = angle;
  return out;
}

/// The upright box around it, clipped to the source.
PEREGRINE_HOST_DEVICE Box enclosing_box(const OrientedBox& box, const Letterbox& letterbox) {
  const double cosine = std::abs(std::cos(static_cast<double>(box.angle)));
  const double sine = std::abs(std::sin(static_cast<double>(box.angle)));
  const auto half_width = static_cast<float>((box.width * cosine + box.height * sine) / 2);
  const auto half_height = static_cast<float>((box.width * sine + box.height * cosine) / 2);
  const auto right = static_cast<float>(letterbox.source_width);
  const auto bottom = static_cast<float>(letterbox.source_height);
  return {
      std::clamp(box.cx - half_width, 0.0f, right), std::clamp(box.cy - half_height, 0.0f, bottom),
      std::clamp(box.cx + half_width, 0.0f, right), std::clamp(box.cy + half_height, 0.0f, bottom)};
}

}  // namespace peregrine::vision
