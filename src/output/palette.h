// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace peregrine::output {

/// A display colour, gamma-encoded sRGB.
struct Color {
  std::uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(const Color&, const Color&) = default;
};
constexpr Color kBlack{0, 0, 0};
constexpr Color kWhite{255, 255, 255};

/// A colour of its own for each number (a track id or a class), the same in every run. Neighbours
/// in number are far apart in hue.
Color palette_color(std::int64_t number);
/// A colour for each level, such as those of a depth map.
using ColorScale = std::array<Color, 256>;
/// Dark violet over red to bright yellow; lightness rises evenly, so that equal steps look equal.
const ColorScale& heat_scale();
/// Black or white, whichever reads better on `background`.
Color text_color_on(Color background);

}  // namespace peregrine::output
