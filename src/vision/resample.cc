// SPDX-License-Identifier: Apache-2.0
#include "vision/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "peregrine/error.h"
#include "vision/convert_row.h"

namespace peregrine::vision {
namespace {

/// Where each output pixel of one axis lies between two source pixels.
struct Axis {
  std::vector<std::int32_t> first;
  std::vector<float> weight;  ///< of `first + 1`
  int begin = 0, end = 0;     ///< output pixels that the resized region covers
};

struct Scratch {
  Axis x, y;
  std::array<RgbRow, 2> rgb;   // the two source rows around an output row
  std::array<int, 2> rgb_row;  // which rows they are; -1: none
  RgbRow blended;
  RowScratch rows;
};

Scratch& scratch() {
  thread_local Scratch instance;
  return instance;
}

void map_axis(int region_begin, int region_size, int resized, int offset, int size, Axis& axis) {
  axis.begin = std::clamp(offset, 0, size);
  axis.end = std::clamp(offset + resized, axis.begin, size);
  const auto count = static_cast<std::size_t>(axis.end - axis.begin);
  axis.first.resize(count);
  axis.weight.resize(count);
  const double step = static_cast<double>(region_size) / resized;
  for (std::size_t i = 0; i < count; ++i) {
    const double pixel = axis.begin - offset + static_cast<double>(i);
    const double source =
        std::clamp((pixel + 0.5) * step - 0.5, 0.0, static_cast<double>(region_size - 1));
    const int first = static_cast<int>(source);
    axis.first[i] = region_begin + first;
    axis.weight[i] = static_cast<float>(source - first);
  }
}

// Makes slot `slot` hold source row `row`, converted now unless it was already.
template <Simd kSimd>
PEREGRINE_ROW_KERNEL void load_row(const Frame& frame, int row, std::size_t slot,
                                   const Columns& columns, FixedColor color, Scratch& memory) {
  if (memory.rgb_row[slot] == row) return;
  convert_row<kSimd>(frame, row, columns, color, memory.rows, memory.rgb[slot]);
  memory.rgb_row[slot] = row;
  memory.rows.ahead.some();
}

// The samples of source row `row`.
void fetch_row(const Frame& frame, int row, const Columns& columns, FetchAhead& ahead) {
  const int begin = columns.begin, count = columns.end - columns.begin;
  const auto [near, far] = chroma_rows(frame, row);
  const auto luma_of = [&](int plane) { return row_of(frame, plane, row) + begin; };
  switch (frame.format) {
    case PixelFormat::kRgb24: return ahead.add(row_of(frame, 0, row) + 3 * begin, 3 * count);
    case PixelFormat::kGray8: return ahead.add(luma_of(0), count);
    case PixelFormat::kYuv444p:
      for (const int plane : {0, 1, 2}) ahead.add(luma_of(plane), count);
      return;
    case PixelFormat::kYuv420p:
      ahead.add(luma_of(0), count);
      for (const int plane : {1, 2}) {
        for (const int y : {near, far}) ahead.add(row_of(frame, plane, y) + begin / 2, count / 2);
      }
      return;
    case PixelFormat::kNv12:
      ahead.add(luma_of(0), count);
      for (const int y : {near, far}) ahead.add(row_of(frame, 1, y) + begin, count);
      return;
    case PixelFormat::kP010: return;  // refused by `resample`
  }
}

// What the next output line needs: source rows that are not converted yet, and where it goes.
void fetch_line(const Frame& frame, const Axis& y, std::size_t index, const Columns& columns,
                const ResampleJob& job, const float* target, Scratch& memory) {
  memory.rows.ahead.clear();
  if (index >= y.first.size()) return;
  const int row = y.first[index];
  const auto is_new = [&](int each) {
    return each != memory.rgb_row[0] && each != memory.rgb_row[1];
  };
  if (is_new(row)) fetch_row(frame, row, columns, memory.rows.ahead);
  if (y.weight[index] > 0 && is_new(row + 1)) fetch_row(frame, row + 1, columns, memory.rows.ahead);
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(job.width) * job.height;
  for (int c = 0; c < 3; ++c) {
    memory.rows.ahead.add(target + c * plane,
                          static_cast<std::ptrdiff_t>(sizeof(float)) * job.width);
  }
}

// Makes `x.first` count converted columns, too, where it is needed.
Columns choose_columns(const Frame& frame, const ResampleJob& job, Axis& x) {
  Columns columns;
  if (x.begin >= x.end) return columns;
  columns.begin = x.first.front() / 2 * 2;
  columns.whole_step = job.region_width % job.resized_width == 0;
  if (columns.whole_step) {
    columns.first = x.first.front();
    columns.step = job.region_width / job.resized_width;
    columns.count = x.end - x.begin;
    columns.sides = columns.step % 2 == 0 ? 2 : 1;
    columns.end = x.first.back() + columns.sides;
  } else {
    columns.first = columns.begin;
    columns.end = std::min(x.first.back() + 2, frame.info.width);
    columns.count = columns.end - columns.begin;
    for (std::int32_t& first : x.first) first -= columns.begin;
  }
  return columns;
}

void size_scratch(Scratch& memory, const Columns& columns) {
  const auto grow = [](auto& row, int size) {
    if (row.size() < static_cast<std::size_t>(size)) row.resize(static_cast<std::size_t>(size));
  };
  // One pixel past the end is read with weight 0, and chroma is written in vectors.
  const int width = columns.converted() + 16;
  for (RgbRow* rows : {&memory.rgb[0], &memory.rgb[1], &memory.blended}) {
    for (Row& row : *rows) grow(row, width);
  }
  for (int i = 0; i < 2; ++i) {
    // The second of the last pair is read a step past the last column.
    grow(memory.rows.chroma[i], (columns.end - columns.begin + columns.step) / 2 + 6);
    grow(memory.rows.chroma_wide[i], width);
  }
  if (columns.step > 1) {
    for (auto& row : memory.rows.picked) grow(row, width);
  }
  memory.rgb_row = {-1, -1};
}

// Horizontal half of the resize: one channel of an output line.
PEREGRINE_ROW_KERNEL void write_channel(const std::int16_t* row, const Columns& columns,
                                        const Axis& x, float scale, float bias, float* out) {
  if (!columns.whole_step) {
    resize_row(row, x.first.data(), x.weight.data(), x.end - x.begin, scale, bias, out);
  } else if (columns.sides == 1) {
    normalise_row(row, columns.count, scale, bias, out);
  } else {
    average_rows(row, row + columns.count, columns.count, scale, bias, out);
  }
}

template <Simd kSimd>
PEREGRINE_ROW_KERNEL void resample_body(const Frame& frame, const ResampleJob& job, float* out) {
  Scratch& memory = scratch();
  map_axis(job.region_x, job.region_width, job.resized_width, job.left, job.width, memory.x);
  map_axis(job.region_y, job.region_height, job.resized_height, job.top, job.height, memory.y);
  const Axis &x = memory.x, &y = memory.y;
  const FixedColor color = to_fixed(color_gains(frame.matrix, frame.range));
  const auto plane = static_cast<std::size_t>(job.width) * static_cast<std::size_t>(job.height);

  const Columns columns = choose_columns(frame, job, memory.x);
  size_scratch(memory, columns);

  for (int line = 0; line < job.height; ++line) {
    float* const target =
        out + static_cast<std::size_t>(line) * static_cast<std::size_t>(job.width);
    if (line < y.begin || line >= y.end) {
      for (std::size_t c = 0; c < 3; ++c) {
        std::fill_n(target + c * plane, job.width, job.padding[c]);
      }
      continue;
    }
    const auto index = static_cast<std::size_t>(line - y.begin);
    const int row = y.first[index];
    const auto weight =
        static_cast<std::int16_t>(std::min(std::lround(y.weight[index] * 32768), 32767L));
    // The row below of the line before is often the row above of this one.
    if (memory.rgb_row[1] == row) {
      std::swap(memory.rgb[0], memory.rgb[1]);
      std::swap(memory.rgb_row[0], memory.rgb_row[1]);
    }
    fetch_line(frame, y, index + 1, columns, job, target + job.width, memory);
    load_row<kSimd>(frame, row, 0, columns, color, memory);
    const bool blend = weight > 0;
    if (blend) load_row<kSimd>(frame, row + 1, 1, columns, color, memory);
    for (std::size_t c = 0; c < 3; ++c) {
      const std::int16_t* from = memory.rgb[0][c].data();
      if (blend) {
        blend_rows(from, memory.rgb[1][c].data(), columns.converted(), weight,
                   memory.blended[c].data());
        from = memory.blended[c].data();
      }
      float* const channel = target + c * plane;
      std::fill_n(channel, x.begin, job.padding[c]);
      write_channel(from, columns, x,
                    job.scale[c] / static_cast<float>(blend ? kBlendedOne : kRgbOne), job.bias[c],
                    channel + x.begin);
      memory.rows.ahead.some();
      std::fill_n(channel + x.end, job.width - x.end, job.padding[c]);
    }
  }
}

void resample_portable(const Frame& frame, const ResampleJob& job, float* out) {
  resample_body<Simd::kPortable>(frame, job, out);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void resample_avx2(const Frame& frame, const ResampleJob& job, float* out) {
  resample_body<Simd::kAvx2>(frame, job, out);
}
#endif

}  // namespace

Simd best_simd() {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return Simd::kAvx2;
#endif
  return Simd::kPortable;
}

void resample(const Frame& frame, const ResampleJob& job, float* out, Simd simd) {
  if (!frame.device.is_cpu() || frame.format == PixelFormat::kP010 || frame.empty() ||
      job.region_width <= 0 || job.region_height <= 0) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("preprocess on the CPU takes 8-bit frames of at least 1x1 in host "
                            "memory; this one is ") +
                    (frame.empty() ? "empty" : to_string(frame.format)) + " on " +
                    to_string(frame.device));
  }
#if defined(__x86_64__)
  if (simd == Simd::kAvx2) return resample_avx2(frame, job, out);
#endif
  (void)simd;
  resample_portable(frame, job, out);
}

}  // namespace peregrine::vision
