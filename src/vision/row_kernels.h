// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

// Loops over one row of pixels. They are force-inlined so that each compiles for the instruction
// set of the function it lands in (resample.cc has one for every x86-64 CPU and one for AVX2), and
// written so that GCC vectorizes them: no branches, no aliasing, 16-bit arithmetic, and products of
// the form that becomes one "multiply high, rounding, scaled" instruction (pmulhrsw, sqrdmulh).
//
// Fixed point: RGB rows hold 1/32 of an 8-bit level (0 to 8160), chroma rows 1/128 of a level
// around zero, blended rows 1/128 of a level. All roundings together stay below 1/10 of a level.
#define PEREGRINE_ROW_KERNEL [[gnu::always_inline]] inline

namespace peregrine::vision {

constexpr int kRgbOne = 32;
constexpr int kBlendedOne = 128;

/// Y'CbCr to R'G'B' in the kernels' fixed point (see `to_fixed` in convert_row.h).
struct FixedColor {
  std::int16_t luma_offset = 0;                                  ///< 16 for limited range
  std::int16_t luma = 0;                                         ///< gain of luma / 2, in 1/32768
  std::int16_t red_v = 0, green_u = 0, green_v = 0, blue_u = 0;  ///< gain / 4, in 1/32768
};

/// a * b / 32768, rounded.
PEREGRINE_ROW_KERNEL std::int16_t multiply_high(std::int16_t a, std::int16_t b) {
  return static_cast<std::int16_t>(((static_cast<int>(a) * b >> 14) + 1) >> 1);
}

PEREGRINE_ROW_KERNEL std::int16_t clamp_rgb(int value) {
  constexpr int kWhite = 255 * kRgbOne;
  return static_cast<std::int16_t>(value < 0 ? 0 : value > kWhite ? kWhite : value);
}

/// Chroma rows above and below a luma row, weighted 3 : 1 (its sample lies at 1/4 between them).
PEREGRINE_ROW_KERNEL void blend_chroma_rows(const std::uint8_t* __restrict near,
                                            const std::uint8_t* __restrict far, int count,
                                            std::int16_t* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = static_cast<std::int16_t>(3 * near[i] + far[i] - 512);
}

/// The same for interleaved U V.
PEREGRINE_ROW_KERNEL void blend_chroma_pairs(const std::uint8_t* __restrict near,
                                             const std::uint8_t* __restrict far, int count,
                                             std::int16_t* __restrict u,
                                             std::int16_t* __restrict v) {
  for (int i = 0; i < count; ++i) {
    u[i] = static_cast<std::int16_t>(3 * near[2 * i] + far[2 * i] - 512);
    v[i] = static_cast<std::int16_t>(3 * near[2 * i + 1] + far[2 * i + 1] - 512);
  }
}

/// Every `step`th sample.
PEREGRINE_ROW_KERNEL void pick_every(const std::uint8_t* __restrict samples, int step, int count,
                                     std::uint8_t* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = samples[step * i];
}

/// Horizontal half of the chroma interpolation: at luma columns `first`, `first + step`, ...
/// counted from the luma column of `chroma[0]`. Writes an even number of values, one more than an
/// odd `count`; reads `chroma[-1]` to the right neighbour of the last one's sample.
PEREGRINE_ROW_KERNEL void widen_chroma_every(const std::int16_t* __restrict chroma, int first,
                                             int step, int count, std::int16_t* __restrict out) {
  // Two columns further, chroma is `step` samples further and the side of the farther sample is the
  // same.
  const int second = first + step;
  const std::int16_t* const near0 = chroma + first / 2;
  const std::int16_t* const near1 = chroma + second / 2;
  const std::int16_t* const far0 = near0 + (first % 2 == 0 ? -1 : 1);
  const std::int16_t* const far1 = near1 + (second % 2 == 0 ? -1 : 1);
  for (int i = 0; i < (count + 1) / 2; ++i) {
    const int at = step * i;
    out[2 * i] = static_cast<std::int16_t>((3 * near0[at] + far0[at]) * 8);
    out[2 * i + 1] = static_cast<std::int16_t>((3 * near1[at] + far1[at]) * 8);
  }
}

// The two above, with the steps that 1080p (3), 720p (2), 4K (6) and a picture of the model's own
// width (1) have into an input of 640 as constants: then the loops vectorize.
PEREGRINE_ROW_KERNEL void pick(const std::uint8_t* samples, int step, int count,
                               std::uint8_t* out) {
  switch (step) {
    case 2: return pick_every(samples, 2, count, out);
    case 3: return pick_every(samples, 3, count, out);
    case 6: return pick_every(samples, 6, count, out);
    default: return pick_every(samples, step, count, out);
  }
}

PEREGRINE_ROW_KERNEL void widen_chroma(const std::int16_t* chroma, int first, int step, int count,
                                       std::int16_t* out) {
  switch (step) {
    case 1: return widen_chroma_every(chroma, first, 1, count, out);
    case 2: return widen_chroma_every(chroma, first, 2, count, out);
    case 3: return widen_chroma_every(chroma, first, 3, count, out);
    case 6: return widen_chroma_every(chroma, first, 6, count, out);
    default: return widen_chroma_every(chroma, first, step, count, out);
  }
}

/// Chroma of full resolution.
PEREGRINE_ROW_KERNEL void center_chroma(const std::uint8_t* __restrict chroma, int count,
                                        std::int16_t* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = static_cast<std::int16_t>((chroma[i] - 128) * 128);
}

PEREGRINE_ROW_KERNEL void yuv_to_rgb(const std::uint8_t* __restrict luma,
                                     const std::int16_t* __restrict u,
                                     const std::int16_t* __restrict v, int count,
                                     const FixedColor color, std::int16_t* __restrict red,
                                     std::int16_t* __restrict green,
                                     std::int16_t* __restrict blue) {
  for (int i = 0; i < count; ++i) {
    const auto raised = static_cast<std::int16_t>((luma[i] - color.luma_offset) * 64);
    const std::int16_t y = multiply_high(raised, color.luma);
    const std::int16_t from_v = multiply_high(v[i], color.red_v);
    const std::int16_t from_u = multiply_high(u[i], color.blue_u);
    const std::int16_t green_u = multiply_high(u[i], color.green_u);
    const std::int16_t green_v = multiply_high(v[i], color.green_v);
    red[i] = clamp_rgb(static_cast<std::int16_t>(y + from_v));
    green[i] = clamp_rgb(static_cast<std::int16_t>(y - green_u - green_v));
    blue[i] = clamp_rgb(static_cast<std::int16_t>(y + from_u));
  }
}

PEREGRINE_ROW_KERNEL void luma_to_gray(const std::uint8_t* __restrict luma, int count,
                                       const FixedColor color, std::int16_t* __restrict gray) {
  for (int i = 0; i < count; ++i) {
    const auto raised = static_cast<std::int16_t>((luma[i] - color.luma_offset) * 64);
    gray[i] = clamp_rgb(multiply_high(raised, color.luma));
  }
}

PEREGRINE_ROW_KERNEL void split_rgb(const std::uint8_t* __restrict rgb, int step, int count,
                                    std::int16_t* __restrict red, std::int16_t* __restrict green,
                                    std::int16_t* __restrict blue) {
  for (int i = 0; i < count; ++i) {
    const std::uint8_t* const pixel = rgb + 3 * step * i;
    red[i] = static_cast<std::int16_t>(pixel[0] * kRgbOne);
    green[i] = static_cast<std::int16_t>(pixel[1] * kRgbOne);
    blue[i] = static_cast<std::int16_t>(pixel[2] * kRgbOne);
  }
}

/// Vertical half of the resize: RGB rows in, a blended row out; `weight` of `below` in 1/32768.
PEREGRINE_ROW_KERNEL void blend_rows(const std::int16_t* __restrict above,
                                     const std::int16_t* __restrict below, int count,
                                     std::int16_t weight, std::int16_t* __restrict out) {
  constexpr int kRaise = kBlendedOne / kRgbOne;
  for (int i = 0; i < count; ++i) {
    const auto difference = static_cast<std::int16_t>((below[i] - above[i]) * kRaise);
    out[i] = static_cast<std::int16_t>(above[i] * kRaise + multiply_high(difference, weight));
  }
}

/// Horizontal half of the resize, and normalisation: `out[i] = pixel * scale + bias`, where pixel
/// lies at `weight[i]` between `row[first[i]]` and its right neighbour. Reads the neighbour even
/// where its weight is 0.
PEREGRINE_ROW_KERNEL void resize_row(const std::int16_t* __restrict row,
                                     const std::int32_t* __restrict first,
                                     const float* __restrict weight, int count, float scale,
                                     float bias, float* __restrict out) {
  for (int i = 0; i < count; ++i) {
    // Both neighbours in one 32-bit load (little-endian: the left one is the low half); values are
    // never negative.
    std::uint32_t pair;
    std::memcpy(&pair, row + first[i], sizeof pair);
    const auto left = static_cast<float>(static_cast<std::int32_t>(pair & 0xffff));
    const auto right = static_cast<float>(static_cast<std::int32_t>(pair >> 16));
    out[i] = (left + (right - left) * weight[i]) * scale + bias;
  }
}

/// The same where each output pixel has a column of its own ...
PEREGRINE_ROW_KERNEL void normalise_row(const std::int16_t* __restrict row, int count, float scale,
                                        float bias, float* __restrict out) {
  for (int i = 0; i < count; ++i) out[i] = static_cast<float>(row[i]) * scale + bias;
}

/// ... or lies in the middle between two.
PEREGRINE_ROW_KERNEL void average_rows(const std::int16_t* __restrict left,
                                       const std::int16_t* __restrict right, int count, float scale,
                                       float bias, float* __restrict out) {
  // The sum has 17 bits at most, so these are the bits of `resize_row`.
  const float half = scale / 2;
  for (int i = 0; i < count; ++i) {
    out[i] = static_cast<float>(left[i] + right[i]) * half + bias;
  }
}

}  // namespace peregrine::vision
