// SPDX-License-Identifier: Apache-2.0
// The work of one thread of the preprocessing kernel; compiled for the host, too, where the tests
// run it without a GPU.
//
// Only the pixels that a bilinear resize looks at are read and converted: of 1080p into 640 that is
// one in nine (every output pixel lies on a source pixel), of a picture that is enlarged each one
// four times, from the cache. Chroma is interpolated in integers, U and V side by side in one
// register: exact, and one conversion to float instead of four.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#include <cuda_fp16.h>

#include "core/host_device.h"
#include "vision/preprocess_kernel.h"

namespace peregrine::vision {

template <typename T>
PEREGRINE_HOST_DEVICE T clamp(T value, T low, T high) {
  return value < low ? low : value < high ? value : high;
}

/// The two source pixels of one axis that an output pixel lies between.
struct Taps {
  int first = 0, second = 0;
  float weight = 0;  ///< of `second`
};

/// `position` counts from the resized picture's first pixel; outside it taps that can be read.
PEREGRINE_HOST_DEVICE Taps taps_of(const AxisMap& axis, int position) {
  constexpr float kUnit = 1.0f / 4294967296.0f;
  // Unsigned: far outside the picture it may wrap.
  const std::uint64_t at =
      static_cast<std::uint64_t>(position) * static_cast<std::uint64_t>(axis.step) +
      static_cast<std::uint64_t>(axis.start);
  // Beyond the outermost pixels both taps are the same, whatever their weights.
  const int first = static_cast<int>(at >> 32);
  return {axis.begin + clamp(first, 0, axis.last), axis.begin + clamp(first + 1, 0, axis.last),
          static_cast<float>(static_cast<std::uint32_t>(at)) * kUnit};
}

/// The sample `offset` bytes into a plane. A 32-bit offset from a pointer that all threads share
/// costs one register, a pointer of a thread's own two.
template <typename Sample>
PEREGRINE_HOST_DEVICE std::uint32_t sample(const std::uint8_t* plane, std::uint32_t offset) {
#ifdef __CUDA_ARCH__
  return __ldg(reinterpret_cast<const Sample*>(plane + offset));
#else
  Sample value;
  std::memcpy(&value, plane + offset, sizeof value);
  return value;
#endif
}

struct Rgb {
  float level[3];  // 0 to 255
};

PEREGRINE_HOST_DEVICE float clamp_level(float level) { return fminf(fmaxf(level, 0.0f), 255.0f); }

/// One row of a picture.
template <PixelFormat kFormat>
class SourceRow {
 public:
  /// Of one pixel, before any arithmetic.
  struct Samples {
    std::uint32_t luma[kFormat == PixelFormat::kRgb24 ? 3 : 1];  // or R G B
    std::uint32_t chroma[4];  // U in the low half, V in the high half: near row, far row
  };

  PEREGRINE_HOST_DEVICE SourceRow(const PictureJob& job, int y) : job_(job) {
    luma_ = row_of(0, y);
    if constexpr (kFormat == PixelFormat::kYuv444p) {
      near_[0] = row_of(1, y);
      near_[1] = row_of(2, y);
    } else if constexpr (kHalved) {
      const int far = neighbour(y, job.chroma_bottom);
      for (int plane = 0; plane < (kFormat == PixelFormat::kYuv420p ? 2 : 1); ++plane) {
        near_[plane] = row_of(1 + plane, y >> 1);
        far_[plane] = row_of(1 + plane, far);
      }
    }
  }

  PEREGRINE_HOST_DEVICE Samples read(int x) const {
    using Luma = std::conditional_t<kFormat == PixelFormat::kP010, std::uint16_t, std::uint8_t>;
    constexpr auto kSamples = sizeof(Samples::luma) / sizeof(std::uint32_t);
    Samples samples;
    const auto column = static_cast<std::uint32_t>(x);
    PEREGRINE_UNROLL
    for (std::uint32_t i = 0; i < kSamples; ++i) {
      samples.luma[i] =
          sample<Luma>(job_.planes[0], luma_ + (column * kSamples + i) * sizeof(Luma));
    }
    if constexpr (kFormat == PixelFormat::kYuv444p) {
      samples.chroma[0] = read_chroma(near_, column);
    } else if constexpr (kHalved) {
      const auto near = column >> 1;
      const auto far = static_cast<std::uint32_t>(neighbour(x, job_.chroma_right));
      samples.chroma[0] = read_chroma(near_, near);
      samples.chroma[1] = read_chroma(near_, far);
      samples.chroma[2] = read_chroma(far_, near);
      samples.chroma[3] = read_chroma(far_, far);
    }
    return samples;
  }

  static PEREGRINE_HOST_DEVICE Rgb convert(const Samples& samples, const ColorMap& color) {
    if constexpr (kFormat == PixelFormat::kRgb24) {
      const auto level = [&](int channel) { return static_cast<float>(samples.luma[channel]); };
      return {{level(0), level(1), level(2)}};
    } else {
      const std::uint32_t luma = samples.luma[0];
      const float y =
          static_cast<float>(kFormat == PixelFormat::kP010 ? luma >> 6 : luma) * color.luma;
      if constexpr (kFormat == PixelFormat::kGray8) {
        const float gray = clamp_level(y + color.constant[0]);
        return {{gray, gray, gray}};
      } else {
        const std::uint32_t both = interpolate(samples.chroma);
        const auto u = static_cast<float>(both & 0xffff), v = static_cast<float>(both >> 16);
        return {{clamp_level(y + (v * color.red_v + color.constant[0])),
                 clamp_level(y - (u * color.green_u + (v * color.green_v - color.constant[1]))),
                 clamp_level(y + (u * color.blue_u + color.constant[2]))}};
      }
    }
  }

 private:
  static constexpr bool kHalved = kFormat == PixelFormat::kYuv420p ||
                                  kFormat == PixelFormat::kNv12 || kFormat == PixelFormat::kP010;

  PEREGRINE_HOST_DEVICE std::uint32_t row_of(int plane, int y) const {
    return static_cast<std::uint32_t>(job_.strides[plane]) * static_cast<std::uint32_t>(y);
  }

  /// The other chroma sample, beside that at `position / 2`, that a luma position lies between.
  static PEREGRINE_HOST_DEVICE int neighbour(int position, int last) {
    return clamp((position >> 1) + (position & 1) * 2 - 1, 0, last);
  }

  PEREGRINE_HOST_DEVICE std::uint32_t read_chroma(const std::uint32_t (&rows)[2],
                                                  std::uint32_t column) const {
    if constexpr (kFormat == PixelFormat::kNv12) {
      return sample<std::uint16_t>(job_.planes[1], rows[0] + 2 * column);
    } else if constexpr (kFormat == PixelFormat::kP010) {
      return sample<std::uint32_t>(job_.planes[1], rows[0] + 4 * column);
    } else {
      return sample<std::uint8_t>(job_.planes[1], rows[0] + column) |
             sample<std::uint8_t>(job_.planes[2], rows[1] + column) << 16;
    }
  }

  /// Moves a pair to the two halves of a register.
  static PEREGRINE_HOST_DEVICE std::uint32_t spread(std::uint32_t pair) {
    if constexpr (kFormat == PixelFormat::kNv12) return (pair & 0xff) | (pair & 0xff00) << 8;
    if constexpr (kFormat == PixelFormat::kP010) return pair >> 6 & 0x03ff03ff;
    return pair;
  }

  /// U and V in 1/16 of a code value: 10 bits of them fill 14 of a half, so no sum runs over.
  static PEREGRINE_HOST_DEVICE std::uint32_t interpolate(const std::uint32_t (&pairs)[4]) {
    if constexpr (!kHalved) return pairs[0] * 16;
    // Each direction weighs the near sample 3 : 1.
    return 9 * spread(pairs[0]) + 3 * (spread(pairs[1]) + spread(pairs[2])) + spread(pairs[3]);
  }

  const PictureJob& job_;
  // Offsets of the row in its planes; of chroma the UV plane, or U and V.
  std::uint32_t luma_, near_[2] = {}, far_[2] = {};
};

/// Levels at `kPixels` output columns, `kLanes` apart. The loops over taps stand outside, so that
/// the reads of all pixels are on their way together.
template <PixelFormat kFormat>
PEREGRINE_HOST_DEVICE void resize_pixels(const PictureJob& job, const Taps& down,
                                         const Taps (&across)[kPixels], Rgb (&sum)[kPixels]) {
  using Row = SourceRow<kFormat>;
  bool between_columns = false;
  PEREGRINE_UNROLL
  for (const Taps& each : across) between_columns |= each.weight > 0;
  const int rows = down.weight > 0 ? 2 : 1, columns = between_columns ? 2 : 1;
  const ColorMap color = job.color;
  PEREGRINE_DO_NOT_UNROLL
  for (int r = 0; r < rows; ++r) {
    const Row row(job, r == 0 ? down.first : down.second);
    const float row_weight = r == 0 ? 1 - down.weight : down.weight;
    PEREGRINE_DO_NOT_UNROLL
    for (int c = 0; c < columns; ++c) {
      typename Row::Samples samples[kPixels];
      PEREGRINE_UNROLL
      for (int i = 0; i < kPixels; ++i) {
        samples[i] = row.read(c == 0 ? across[i].first : across[i].second);
      }
      PEREGRINE_UNROLL
      for (int i = 0; i < kPixels; ++i) {
        const Rgb pixel = Row::convert(samples[i], color);
        const float weight = row_weight * (c == 0 ? 1 - across[i].weight : across[i].weight);
        PEREGRINE_UNROLL
        for (int k = 0; k < 3; ++k) sum[i].level[k] += weight * pixel.level[k];
      }
    }
  }
}

PEREGRINE_HOST_DEVICE void resize_pixels_of_any(const PictureJob& job, const Taps& down,
                                                const Taps (&across)[kPixels],
                                                Rgb (&sum)[kPixels]) {
  switch (job.format) {
    case PixelFormat::kYuv420p: return resize_pixels<PixelFormat::kYuv420p>(job, down, across, sum);
    case PixelFormat::kYuv444p: return resize_pixels<PixelFormat::kYuv444p>(job, down, across, sum);
    case PixelFormat::kNv12: return resize_pixels<PixelFormat::kNv12>(job, down, across, sum);
    case PixelFormat::kP010: return resize_pixels<PixelFormat::kP010>(job, down, across, sum);
    case PixelFormat::kRgb24: return resize_pixels<PixelFormat::kRgb24>(job, down, across, sum);
    case PixelFormat::kGray8: return resize_pixels<PixelFormat::kGray8>(job, down, across, sum);
  }
}

PEREGRINE_HOST_DEVICE void store(float* to, float value) { *to = value; }
PEREGRINE_HOST_DEVICE void store(__half* to, float value) { *to = __float2half_rn(value); }

/// Output pixels `column`, `column + kLanes`, ... of `row` of one picture.
template <typename Element>
PEREGRINE_HOST_DEVICE void write_pixels(const PreprocessTarget& target, const PictureJob& job,
                                        int picture, int row, int column) {
  if (row >= target.height) return;
  const auto is_inside = [](const AxisMap& axis, int position) {
    return position >= axis.offset && position < axis.offset + axis.resized;
  };
  bool inside[kPixels] = {};
  Rgb sum[kPixels] = {};
  if (is_inside(job.y, row)) {  // the same for the whole warp
    Taps across[kPixels];
    PEREGRINE_UNROLL
    for (int i = 0; i < kPixels; ++i) {
      const int x = column + i * kLanes;
      inside[i] = is_inside(job.x, x);
      across[i] = taps_of(job.x, x - job.x.offset);
    }
    resize_pixels_of_any(job, taps_of(job.y, row - job.y.offset), across, sum);
  }
  Element* const out = static_cast<Element*>(target.data) + picture * target.picture_stride +
                       row * target.row_stride;
  PEREGRINE_UNROLL
  for (int k = 0; k < 3; ++k) {
    Element* const channel = out + k * target.channel_stride;
    const float scale = target.scale[k], bias = target.bias[k], padding = target.padding[k];
    PEREGRINE_UNROLL
    for (int i = 0; i < kPixels; ++i) {
      const int x = column + i * kLanes;
      const float value = inside[i] ? sum[i].level[k] * scale + bias : padding;
      Element* const to = channel + x * target.column_stride;
      if (x < target.width) store(to, value);
    }
  }
}

}  // namespace peregrine::vision
