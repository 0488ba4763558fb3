// SPDX-License-Identifier: Apache-2.0
// One source row to RGB, at the columns that a resize needs.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "vision/color.h"
#include "vision/fetch_ahead.h"
#include "vision/resample.h"
#include "vision/row_kernels.h"
#include "vision/row_kernels_avx2.h"

namespace peregrine::vision {

using Row = std::vector<std::int16_t>;
using RgbRow = std::array<Row, 3>;

// The columns of the picture that become RGB. Where the picture is a whole number of times as wide
// as its resized self (1080p, 720p or 4K into 640), the output pixels lie on, or in the middle
// between, columns that far apart: only those are converted, and the resize has nothing to look up.
// Else all are.
struct Columns {
  int begin = 0, end = 0;  // that the samples are read from; `begin` is even
  int first = 0, step = 1, count = 0;
  bool whole_step = false;
  int sides = 1;  // 2: of each also the one to the right

  // Of a row buffer: the `count` columns, and after them their right neighbours.
  int converted() const { return sides * count; }
};

/// Rows between the steps of a conversion, and what is fetched meanwhile.
struct RowScratch {
  FetchAhead ahead;
  Row chroma[2];       // vertically interpolated U, V with one more sample on each side
  Row chroma_wide[2];  // at the converted columns
  std::vector<std::uint8_t> picked[3];  // samples of the converted columns
};

inline std::int16_t fixed(double value) {
  return static_cast<std::int16_t>(std::lround(value * 32768));
}

inline FixedColor to_fixed(const ColorGains& gains) {
  FixedColor color;
  color.luma_offset = static_cast<std::int16_t>(gains.luma_offset);
  color.luma = fixed(gains.luma / 2);
  color.red_v = fixed(gains.red_v / 4);
  color.blue_u = fixed(gains.blue_u / 4);
  color.green_u = fixed(gains.green_u / 4);
  color.green_v = fixed(gains.green_v / 4);
  return color;
}

inline const std::uint8_t* row_of(const Frame& frame, int plane, int y) {
  const Plane& from = frame.planes[static_cast<std::size_t>(plane)];
  return from.data + from.stride * y;
}

// The chroma rows that luma row `y` lies between, in the 4:2:0 formats.
struct ChromaRows {
  int near = 0, far = 0;
};

inline ChromaRows chroma_rows(const Frame& frame, int y) {
  const int near = y / 2;
  return {near, std::clamp(near + (y % 2 == 0 ? -1 : 1), 0, (frame.info.height + 1) / 2 - 1)};
}

// U and V of luma row `y` at the converted columns, for the 4:2:0 formats.
PEREGRINE_ROW_KERNEL void interpolate_chroma(const Frame& frame, int y, const Columns& columns,
                                             RowScratch& memory) {
  const auto [near, far] = chroma_rows(frame, y);
  // One sample more on each side, where the picture has one.
  const int chroma_width = (frame.info.width + 1) / 2;
  const int begin = columns.begin / 2, end = (columns.end + 1) / 2;
  const int from = std::max(begin - 1, 0), to = std::min(end + 1, chroma_width);
  std::int16_t* u = memory.chroma[0].data() + 1;
  std::int16_t* v = memory.chroma[1].data() + 1;
  const int shift = from - begin;
  if (frame.format == PixelFormat::kNv12) {
    blend_chroma_pairs(row_of(frame, 1, near) + 2 * from, row_of(frame, 1, far) + 2 * from,
                       to - from, u + shift, v + shift);
  } else {
    blend_chroma_rows(row_of(frame, 1, near) + from, row_of(frame, 1, far) + from, to - from,
                      u + shift);
    blend_chroma_rows(row_of(frame, 2, near) + from, row_of(frame, 2, far) + from, to - from,
                      v + shift);
  }
  for (std::int16_t* each : {u, v}) {
    if (from == begin) each[-1] = each[0];
    if (to == end) each[end - begin] = each[end - begin - 1];
  }
  for (int side = 0; side < columns.sides; ++side) {
    const int first = columns.first - columns.begin + side;
    const int at = side * columns.count;
    widen_chroma(u, first, columns.step, columns.count, memory.chroma_wide[0].data() + at);
    widen_chroma(v, first, columns.step, columns.count, memory.chroma_wide[1].data() + at);
  }
}

#if defined(__x86_64__)
// The same where 16 bytes at a time hold what eight columns need and all that is read lies in the
// plane; false elsewhere.
inline bool interpolate_chroma_fast(const Frame& frame, int y, const Columns& columns,
                                    RowScratch& memory) {
  if (columns.step > ChromaPairs::kMaxStep) return false;
  const bool interleaved = frame.format == PixelFormat::kNv12;
  const int bytes = interleaved ? 2 : 1;  // from one sample to the next
  const auto [near, far] = chroma_rows(frame, y);
  const int upper = std::min(near, far), lower = std::max(near, far);
  const int right = (frame.info.width + 1) / 2 - 1, bottom = (frame.info.height + 1) / 2 - 1;
  for (int side = 0; side < columns.sides; ++side) {
    const int first = columns.first + side;
    const ChromaPairs pairs(first, columns.step, interleaved);
    const std::int64_t begin = std::int64_t{pairs.base} * bytes;
    const std::int64_t end = begin + pairs.span(columns.count, interleaved);
    const std::int64_t stride = frame.planes[1].stride;
    const std::int64_t other = frame.planes[interleaved ? 1 : 2].stride;
    for (const std::int64_t each : {stride, other}) {
      if (each < 0 || each * upper + begin < 0 ||
          end > each * (bottom - lower) + std::int64_t{right + 1} * bytes) {
        return false;
      }
    }
    std::int16_t* out[2];
    for (int i = 0; i < 2; ++i) out[i] = memory.chroma_wide[i].data() + side * columns.count;
    if (interleaved) {
      interpolate_chroma_pairs_avx2(row_of(frame, 1, near) + begin, row_of(frame, 1, far) + begin,
                                    pairs, columns.count, out[0], out[1]);
    } else {
      for (int i = 0; i < 2; ++i) {
        interpolate_chroma_avx2(row_of(frame, 1 + i, near) + begin,
                                row_of(frame, 1 + i, far) + begin, pairs, columns.count, out[i]);
      }
    }
    // At the picture's edges the far sample is the near one.
    const int last = first + columns.step * (columns.count - 1);
    const auto repeat = [&](int column, int at) {
      for (int i = 0; i < 2; ++i) {
        const int plane = interleaved ? 1 : 1 + i, offset = column / 2 * bytes + interleaved * i;
        const int sum = 3 * row_of(frame, plane, near)[offset] + row_of(frame, plane, far)[offset];
        out[i][at] = static_cast<std::int16_t>((sum - 4 * 128) * 32);
      }
    };
    if (first == 0) repeat(first, 0);
    if (last % 2 == 1 && last / 2 == right) repeat(last, columns.count - 1);
  }
  return true;
}
#endif

// The samples of one plane at the converted columns.
PEREGRINE_ROW_KERNEL const std::uint8_t* samples(const Frame& frame, int plane, int y,
                                                 const Columns& columns, RowScratch& memory) {
  const std::uint8_t* const from = row_of(frame, plane, y) + columns.first;
  if (columns.step == 1) return from;
  std::uint8_t* const out = memory.picked[plane].data();
  for (int side = 0; side < columns.sides; ++side) {
    pick(from + side, columns.step, columns.count, out + side * columns.count);
  }
  return out;
}

template <Simd kSimd>
PEREGRINE_ROW_KERNEL void convert_row(const Frame& frame, int y, const Columns& columns,
                                      FixedColor color, RowScratch& memory, RgbRow& out) {
  std::int16_t* red = out[0].data();
  std::int16_t* green = out[1].data();
  std::int16_t* blue = out[2].data();
  const int count = columns.converted();
  std::int16_t* u = memory.chroma_wide[0].data();
  std::int16_t* v = memory.chroma_wide[1].data();
  switch (frame.format) {
    case PixelFormat::kRgb24:
      for (int side = 0; side < columns.sides; ++side) {
        const int at = side * columns.count;
        split_rgb(row_of(frame, 0, y) + 3 * (columns.first + side), columns.step, columns.count,
                  red + at, green + at, blue + at);
      }
      return;
    case PixelFormat::kGray8:
      luma_to_gray(samples(frame, 0, y, columns, memory), count, color, red);
      std::copy_n(red, count, green);
      std::copy_n(red, count, blue);
      return;
    case PixelFormat::kYuv444p:
      center_chroma(samples(frame, 1, y, columns, memory), count, u);
      center_chroma(samples(frame, 2, y, columns, memory), count, v);
      break;
    case PixelFormat::kYuv420p:
    case PixelFormat::kNv12:
#if defined(__x86_64__)
      if (kSimd == Simd::kAvx2 && interpolate_chroma_fast(frame, y, columns, memory)) break;
#endif
      interpolate_chroma(frame, y, columns, memory);
      break;
    case PixelFormat::kP010: return;  // refused by `resample`
  }
  memory.ahead.some();
  const std::uint8_t* const luma = samples(frame, 0, y, columns, memory);
  memory.ahead.some();
  yuv_to_rgb(luma, u, v, count, color, red, green, blue);
}

}  // namespace peregrine::vision
