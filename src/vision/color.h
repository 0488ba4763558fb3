// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/frame.h"

namespace peregrine::vision {

/// Y'CbCr code values to R'G'B' levels of 0 to 255, before clamping:
///
///     y = (luma - luma_offset) * luma;  u, v = chroma - chroma_offset
///     red = y + v * red_v;  green = y - u * green_u - v * green_v;  blue = y + u * blue_u
struct ColorGains {
  double luma_offset = 0, chroma_offset = 128;
  double luma = 1;
  double red_v = 0, green_u = 0, green_v = 0, blue_u = 0;
};

/// For code values of `bits` bits. From the luma coefficients Kr and Kb of each recommendation
/// (BT.601-7, BT.709-6, BT.2020-2): limited range scales with the bits, full range ends at the
/// largest code value.
inline ColorGains color_gains(ColorMatrix matrix, ColorRange range, int bits = 8) {
  double kr = 0.2126, kb = 0.0722;
  if (matrix == ColorMatrix::kBt601) kr = 0.299, kb = 0.114;
  if (matrix == ColorMatrix::kBt2020) kr = 0.2627, kb = 0.0593;
  const double kg = 1 - kr - kb;
  const bool limited = range == ColorRange::kLimited;
  const double step = 1 << (bits - 8);
  const double full = 255.0 / ((1 << bits) - 1);
  const double chroma = limited ? 255.0 / (224 * step) : full;
  ColorGains gains;
  gains.luma_offset = limited ? 16 * step : 0;
  gains.chroma_offset = 128 * step;
  gains.luma = limited ? 255.0 / (219 * step) : full;
  gains.red_v = 2 * (1 - kr) * chroma;
  gains.blue_u = 2 * (1 - kb) * chroma;
  gains.green_u = 2 * kb * (1 - kb) / kg * chroma;
  gains.green_v = 2 * kr * (1 - kr) / kg * chroma;
  return gains;
}

}  // namespace peregrine::vision
