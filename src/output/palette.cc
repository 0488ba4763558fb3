// SPDX-License-Identifier: Apache-2.0
#include "output/palette.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace peregrine::output {
namespace {

// Gamma-encoded sRGB byte of a linear value.
std::uint8_t encode(double linear) {
  linear = std::clamp(linear, 0.0, 1.0);
  const double value =
      linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * value));
}

struct Linear {
  double r, g, b;
  bool in_gamut() const { return std::min({r, g, b}) >= 0 && std::max({r, g, b}) <= 1; }
};

// Ottosson, "A perceptual color space for image processing" (2020): Oklab's inverse.
Linear from_oklch(double lightness, double chroma, double hue) {
  const double a = chroma * std::cos(hue), b = chroma * std::sin(hue);
  const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
  const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
  const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

Color encode(const Linear& color) { return {encode(color.r), encode(color.g), encode(color.b)}; }

// As colourful as the display can show: cutting components off instead would turn the hue.
Color vivid(double lightness, double hue) {
  Linear color{};
  for (double chroma = 0.25; chroma > 0.05; chroma -= 0.01) {
    color = from_oklch(lightness, chroma, hue);
    if (color.in_gamut()) break;
  }
  return encode(color);
}

double luminance(Color color) {
  const auto linear = [](std::uint8_t byte) { return std::pow(byte / 255.0, 2.2); };
  return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b);
}

}  // namespace

Color palette_color(std::int64_t number) {
  // Steps of the golden ratio never fall together and keep the largest gap as small as can be.
  // Hues come closest at distances of 13, 21, 34, 55, ...: none of these is a multiple of 4, so
  // lightness tells such pairs apart.
  constexpr double kLightness[] = {0.72, 0.58, 0.84, 0.65};
  const double turn = static_cast<double>(number) * (std::numbers::phi - 1);
  const double hue = 2 * std::numbers::pi * (turn - std::floor(turn));
  return vivid(kLightness[static_cast<std::uint64_t>(number) % 4], hue);
}

const ColorScale& heat_scale() {
  static const ColorScale scale = [] {
    constexpr double kDarkest = 0.2, kLightest = 0.95;
    constexpr double kViolet = 290.0 / 180 * std::numbers::pi;
    constexpr double kTurn = 175.0 / 180 * std::numbers::pi;  // over red to yellow
    ColorScale made;
    for (std::size_t level = 0; level < made.size(); ++level) {
      const double at = static_cast<double>(level) / 255;
      // A smooth curve just inside of what sRGB can show along the way.
      const double chroma = 0.105 + 0.09 * std::sin(std::numbers::pi * at);
      made[level] =
          encode(from_oklch(kDarkest + (kLightest - kDarkest) * at, chroma, kViolet + kTurn * at));
    }
    return made;
  }();
  return scale;
}

Color text_color_on(Color background) {
  // Contrast (L + 0.05) / (L' + 0.05) of WCAG 2 is the same to black and to white at L = 0.179.
  return luminance(background) > 0.179 ? kBlack : kWhite;
}

}  // namespace peregrine::output
