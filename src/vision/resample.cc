// SPDX-License-Identifier: Apache-2.0
#include "vision/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "peregrine/error.h"
#include "vision/color.h"
#include "vision/fetch_ahead.h"
#include "vision/row_kernels.h"
#include "vision/row_kernels_avx2.h"

namespace peregrine::vision {
namespace {

using Row = std::vector<std::int16_t>;
using RgbRow = std::array<Row, 3>;

/// Where each output pixel of one axis lies between two source pixels.
struct Axis {
  std::vector<std::int32_t> first;
  std::vector<float> weight;  ///< of `first + 1`
  int begin = 0, end = 0;     ///< output pixels that the resized region covers
};

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

struct Scratch {
  FetchAhead ahead;
  Axis x, y;
  std::array<RgbRow, 2> rgb;   // the two source rows around an output row
  std::array<int, 2> rgb_row;  // which rows they are; -1: none
  RgbRow blended;
  Row chroma[2];       // vertically interpolated U, V with one more sample on each side
  Row chroma_wide[2];  // at the converted columns
  std::vector<std::uint8_t> picked[3];  // samples of the converted columns
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

std::int16_t fixed(double value) { return static_cast<std::int16_t>(std::lround(value * 32768)); }

FixedColor to_fixed(const ColorGains& gains) {
  FixedColor color;
  color.luma_offset = static_cast<std::int16_t>(gains.luma_offset);
  color.luma = fixed(gains.luma / 2);
  color.red_v = fixed(gains.red_v / 4);
  color.blue_u = fixed(gains.blue_u / 4);
  color.green_u = fixed(gains.green_u / 4);
  color.green_v = fixed(gains.green_v / 4);
  return color;
}

const std::uint8_t* row_of(const Frame& frame, int plane, int y) {
  const Plane& from = frame.planes[static_cast<std::size_t>(plane)];
  return from.data + from.stride * y;
}

// The chroma rows that luma row `y` lies between, in the 4:2:0 formats.
struct ChromaRows {
  int near = 0, far = 0;
};

ChromaRows chroma_rows(const Frame& frame, int y) {
  const int near = y / 2;
  return {near, std::clamp(near + (y % 2 == 0 ? -1 : 1), 0, (frame.info.height + 1) / 2 - 1)};
}

// U and V of luma row `y` at the converted columns, for the 4:2:0 formats.
PEREGRINE_ROW_KERNEL void interpolate_chroma(const Frame& frame, int y, const Columns& columns,
                                             Scratch& memory) {
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
bool interpolate_chroma_fast(const Frame& frame, int y, const Columns& columns, Scratch& memory) {
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
                                                 const Columns& columns, Scratch& memory) {
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
                                      FixedColor color, Scratch& memory, RgbRow& out) {
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

// Makes slot `slot` hold source row `row`, converted now unless it was already.
template <Simd kSimd>
PEREGRINE_ROW_KERNEL void load_row(const Frame& frame, int row, std::size_t slot,
                                   const Columns& columns, FixedColor color, Scratch& memory) {
  if (memory.rgb_row[slot] == row) return;
  convert_row<kSimd>(frame, row, columns, color, memory, memory.rgb[slot]);
  memory.rgb_row[slot] = row;
  memory.ahead.some();
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
  memory.ahead.clear();
  if (index >= y.first.size()) return;
  const int row = y.first[index];
  const auto is_new = [&](int each) {
    return each != memory.rgb_row[0] && each != memory.rgb_row[1];
  };
  if (is_new(row)) fetch_row(frame, row, columns, memory.ahead);
  if (y.weight[index] > 0 && is_new(row + 1)) fetch_row(frame, row + 1, columns, memory.ahead);
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(job.width) * job.height;
  for (int c = 0; c < 3; ++c) {
    memory.ahead.add(target + c * plane, static_cast<std::ptrdiff_t>(sizeof(float)) * job.width);
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
    grow(memory.chroma[i], (columns.end - columns.begin + columns.step) / 2 + 6);
    grow(memory.chroma_wide[i], width);
  }
  if (columns.step > 1) {
    for (auto& row : memory.picked) grow(row, width);
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
      memory.ahead.some();
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
