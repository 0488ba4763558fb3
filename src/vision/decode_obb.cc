// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numbers>

#include "vision/box_tasks.h"

namespace peregrine::vision {

OrientedBox read_oriented(const RawBoxes& raw, int anchor, int angle_channel) {
  return {raw.at(anchor, 0), raw.at(anchor, 1), raw.at(anchor, 2), raw.at(anchor, 3),
          raw.at(anchor, angle_channel)};
}

OrientedBox to_source(const OrientedBox& box, const Letterbox& letterbox) {
  OrientedBox out = box;
  letterbox.point_to_source(out.cx, out.cy);
  // The two scales differ by the rounding of the letterbox, so the sides turn and stretch a little.
  const float cosine = std::cos(box.angle), sine = std::sin(box.angle);
  out.width *= std::hypot(cosine / letterbox.scale_x, sine / letterbox.scale_y);
  out.height *= std::hypot(sine / letterbox.scale_x, cosine / letterbox.scale_y);
  constexpr float kPi = std::numbers::pi_v<float>;
  float angle = std::atan2(sine / letterbox.scale_y, cosine / letterbox.scale_x);
  if (angle < -kPi / 4) angle += kPi;
  if (angle >= 3 * kPi / 4) angle -= kPi;
  out.angle = angle;
  return out;
}

Box enclosing_box(const OrientedBox& box, const Letterbox& letterbox) {
  const float cosine = std::abs(std::cos(box.angle)), sine = std::abs(std::sin(box.angle));
  const float half_width = (box.width * cosine + box.height * sine) / 2;
  const float half_height = (box.width * sine + box.height * cosine) / 2;
  const auto right = static_cast<float>(letterbox.source_width);
  const auto bottom = static_cast<float>(letterbox.source_height);
  return {
      std::clamp(box.cx - half_width, 0.0f, right), std::clamp(box.cy - half_height, 0.0f, bottom),
      std::clamp(box.cx + half_width, 0.0f, right), std::clamp(box.cy + half_height, 0.0f, bottom)};
}

}  // namespace peregrine::vision
