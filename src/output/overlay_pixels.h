// SPDX-License-Identifier: Apache-2.0
// What one pixel gets of a shape. The CPU's loops and the GPU's kernel share it, so that both draw
// the same bytes; the kernel is compiled without fused multiply-add for the same reason.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace peregrine::output {

/// A line of round ends, made ready to be asked for its pixels.
struct StrokeShape {
  float x = 0, y = 0, dx = 0, dy = 0;
  float reach = 0;        ///< how far from the axis a pixel can be and still be touched
  float per_length2 = 0;  ///< 0 for a point
};

PEREGRINE_HOST_DEVICE StrokeShape stroke_shape(float x0, float y0, float x1, float y1,
                                               float radius) {
  const float dx = x1 - x0, dy = y1 - y0;
  const float length2 = dx * dx + dy * dy;
  return {x0, y0, dx, dy, radius + 0.5f, length2 > 0 ? 1 / length2 : 0};
}

PEREGRINE_HOST_DEVICE float clamp_unit(float value) {
  return value < 0 ? 0.0f : value > 1 ? 1.0f : value;
}

/// How much of pixel (x, y) it covers, 0 to 255.
PEREGRINE_HOST_DEVICE std::uint8_t stroke_alpha(const StrokeShape& stroke, int x, int y) {
  const float px = static_cast<float>(x) + 0.5f - stroke.x;
  const float py = static_cast<float>(y) + 0.5f - stroke.y;
  const float along = clamp_unit((px * stroke.dx + py * stroke.dy) * stroke.per_length2);
  const float ax = px - along * stroke.dx, ay = py - along * stroke.dy;
  const float covered = clamp_unit(stroke.reach - std::sqrt(ax * ax + ay * ay));
  return static_cast<std::uint8_t>(255 * covered + 0.5f);
}

/// The cells of a map of `cells` that pixel `pixel` of `pixels` lies between: bilinear, centres at
/// half-integers, the edge cells extended outwards.
struct DepthPlace {
  int cell = 0, next = 0;
  float weight = 0;  ///< of `next`
};
PEREGRINE_HOST_DEVICE DepthPlace depth_place(int pixel, int pixels, int cells) {
  double at = (pixel + 0.5) * cells / pixels - 0.5;
  at = at < 0 ? 0 : at > cells - 1.0 ? cells - 1.0 : at;
  const int cell = static_cast<int>(at);
  return {cell, cell + 1 < cells ? cell + 1 : cell, static_cast<float>(at - cell)};
}
PEREGRINE_HOST_DEVICE float mix(float from, float to, float weight) {
  return from + (to - from) * weight;
}
/// Of the colour scale, for depth of 0 to 1.
PEREGRINE_HOST_DEVICE std::uint8_t depth_level(float value) {
  return static_cast<std::uint8_t>(255 * value + 0.5f);
}

// Weights run to 256, so that full coverage at full opacity leaves nothing of what was there.

/// Of a pixel covered by `alpha` of 255.
PEREGRINE_HOST_DEVICE int weight_of(int alpha) { return alpha + (alpha >> 7); }
/// Of a halved sample whose four pixels are covered by `sum` of 4 * 255.
PEREGRINE_HOST_DEVICE int weight_of_four(int sum) { return (sum + (sum >> 7)) >> 2; }
PEREGRINE_HOST_DEVICE int scale_weight(int weight, int translucency) {
  return (weight * translucency) >> 8;
}
PEREGRINE_HOST_DEVICE int blend(int below, int above, int weight) {
  return (below * (256 - weight) + above * weight) >> 8;
}

}  // namespace peregrine::output
