// SPDX-License-Identifier: Apache-2.0
// The work of one thread of the preprocessing kernel; compiled for the host, too, where the tests
// run it without a GPU.
//
// Only the pixels that a bilinear resize looks at are read and converted: of 1080p into 640 that is
// one in nine (every output pixel lies on a source pixel), of a picture that is enlarged each one
// four times, from the cache. Chroma is interpolated in integers, U and V side by side in one
// register: exact, and one conversion to float instead of four.
#pragma once

#include <cstring>

#include <cuda_fp16.h>

#include "engine/cuda/kernels/host_device.h"
#include "vision/preprocess_kernel.h"

namespace peregrine::vision {

/// The two source pixels of one axis that an output pixel lies between.
struct Taps {
  int first = 0, second = 0;
  float weight = 0;  ///< of `second`
};

/// `position` counts from the resized picture's first pixel; outside it the nearest pixel's taps,
/// so that they can always be read.
PEREGRINE_HOST_DEVICE Taps taps_of(const AxisMap& axis, int position) {
  constexpr float kUnit = 1.0f / 4294967296.0f;
  position = position < 0 ? 0 : position < axis.resized ? position : axis.resized - 1;
  const std::int64_t last = static_cast<std::int64_t>(axis.last) << 32;
  std::int64_t at = position * axis.step + axis.start;
  at = at < 0 ? 0 : at < last ? at : last;
  const int first = static_cast<int>(at >> 32);
  const int second = first < axis.last ? first + 1 : first;
  return {axis.begin + first, axis.begin + second,
          static_cast<float>(static_cast<std::uint32_t>(at)) * kUnit};
}

/// Sample `index` of a row.
template <typename Sample>
PEREGRINE_HOST_DEVICE Sample sample(const std::uint8_t* row, int index) {
#ifdef __CUDA_ARCH__
  return __ldg(reinterpret_cast<const Sample*>(row) + index);
#else
  Sample value;
  std::memcpy(&value, row + index * static_cast<std::ptrdiff_t>(sizeof value), sizeof value);
  return value;
#endif
}

struct Rgb {
  float level[3];  // 0 to 255
};

/// One row of a picture.
template <PixelFormat kFormat>
class SourceRow {
 public:
  PEREGRINE_HOST_DEVICE SourceRow(const PictureJob& job, int y) : job_(job) {
    luma_ = row_of(0, y);
    if constexpr (kFormat == PixelFormat::kYuv444p) {
      near_[0] = row_of(1, y);
      near_[1] = row_of(2, y);
    } else if constexpr (kHalved) {
      const int near = y / 2, far = neighbour(y, job.chroma_bottom);
      for (int plane = 0; plane < (kFormat == PixelFormat::kYuv420p ? 2 : 1); ++plane) {
        near_[plane] = row_of(1 + plane, near);
        far_[plane] = row_of(1 + plane, far);
      }
    }
  }

  PEREGRINE_HOST_DEVICE Rgb at(int x) const {
    if constexpr (kFormat == PixelFormat::kRgb24) {
      const auto level = [&](int channel) {
        return static_cast<float>(sample<std::uint8_t>(luma_, 3 * x + channel));
      };
      return {{level(0), level(1), level(2)}};
    } else {
      const ColorMap& color = job_.color;
      const float y = luma(x);
      if constexpr (kFormat == PixelFormat::kGray8) {
        const float gray = clamped(y * color.luma + color.constant[0]);
        return {{gray, gray, gray}};
      } else {
        const std::uint32_t both = chroma(x);
        const auto u = static_cast<float>(both & 0xffff), v = static_cast<float>(both >> 16);
        return {{clamped(y * color.luma + (v * color.red_v + color.constant[0])),
                 clamped(y * color.luma -
                         (u * color.green_u + (v * color.green_v - color.constant[1]))),
                 clamped(y * color.luma + (u * color.blue_u + color.constant[2]))}};
      }
    }
  }

 private:
  static constexpr bool kHalved = kFormat == PixelFormat::kYuv420p ||
                                  kFormat == PixelFormat::kNv12 || kFormat == PixelFormat::kP010;

  PEREGRINE_HOST_DEVICE const std::uint8_t* row_of(int plane, int y) const {
    return job_.planes[plane] + job_.strides[plane] * y;
  }

  /// The other chroma sample, beside that at `position / 2`, that a luma position lies between.
  static PEREGRINE_HOST_DEVICE int neighbour(int position, int last) {
    const int far = position / 2 + (position % 2 == 0 ? -1 : 1);
    return far < 0 ? 0 : far < last ? far : last;
  }

  static PEREGRINE_HOST_DEVICE float clamped(float level) {
    return level < 0.0f ? 0.0f : level < 255.0f ? level : 255.0f;
  }

  PEREGRINE_HOST_DEVICE float luma(int x) const {
    if constexpr (kFormat == PixelFormat::kP010) {
      return static_cast<float>(sample<std::uint16_t>(luma_, x) >> 6);
    } else {
      return static_cast<float>(sample<std::uint8_t>(luma_, x));
    }
  }

  /// U in the low half, V in the high half.
  static PEREGRINE_HOST_DEVICE std::uint32_t chroma_sample(const std::uint8_t* const* rows,
                                                           int column) {
    if constexpr (kFormat == PixelFormat::kNv12) {
      const std::uint32_t both = sample<std::uint16_t>(rows[0], column);
      return (both & 0xff) | (both & 0xff00) << 8;
    } else if constexpr (kFormat == PixelFormat::kP010) {
      return sample<std::uint32_t>(rows[0], column) >> 6 & 0x03ff03ff;
    } else {
      return sample<std::uint8_t>(rows[0], column) |
             static_cast<std::uint32_t>(sample<std::uint8_t>(rows[1], column)) << 16;
    }
  }

  /// In 1/16 of a code value: 10 bits of them fill 14 of a half, so no sum runs over.
  PEREGRINE_HOST_DEVICE std::uint32_t chroma(int x) const {
    if constexpr (!kHalved) {
      return chroma_sample(near_, x) * 16;
    } else {
      // Each direction weighs the near sample 3 : 1.
      const int near = x / 2, far = neighbour(x, job_.chroma_right);
      return 9 * chroma_sample(near_, near) +
             3 * (chroma_sample(near_, far) + chroma_sample(far_, near)) + chroma_sample(far_, far);
    }
  }

  const PictureJob& job_;
  const std::uint8_t* luma_;
  const std::uint8_t* near_[2] = {};  // chroma: UV, or U and V
  const std::uint8_t* far_[2] = {};
};

/// Levels at `kPixels` output columns, `kLanes` apart. The loops over taps stand outside, so that
/// the reads of all pixels are on their way together.
template <PixelFormat kFormat>
PEREGRINE_HOST_DEVICE void resize_pixels(const PictureJob& job, const Taps& down,
                                         const Taps (&across)[kPixels], Rgb (&sum)[kPixels]) {
  bool between_columns = false;
  PEREGRINE_UNROLL
  for (const Taps& each : across) between_columns |= each.weight > 0;
  const int rows = down.weight > 0 ? 2 : 1, columns = between_columns ? 2 : 1;
  PEREGRINE_DO_NOT_UNROLL
  for (int r = 0; r < rows; ++r) {
    const SourceRow<kFormat> row(job, r == 0 ? down.first : down.second);
    const float row_weight = r == 0 ? 1 - down.weight : down.weight;
    PEREGRINE_DO_NOT_UNROLL
    for (int c = 0; c < columns; ++c) {
      PEREGRINE_UNROLL
      for (int i = 0; i < kPixels; ++i) {
        const Rgb pixel = row.at(c == 0 ? across[i].first : across[i].second);
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
  bool inside[kPixels], any_inside = false;
  Taps across[kPixels];
  PEREGRINE_UNROLL
  for (int i = 0; i < kPixels; ++i) {
    const int x = column + i * kLanes;
    inside[i] = is_inside(job.x, x) && is_inside(job.y, row);
    any_inside |= inside[i];
    across[i] = taps_of(job.x, x - job.x.offset);
  }
  Rgb sum[kPixels] = {};
  if (any_inside) {
    resize_pixels_of_any(job, taps_of(job.y, row - job.y.offset), across, sum);
  }
  Element* const out = static_cast<Element*>(target.data) + picture * target.picture_stride +
                       row * target.row_stride;
  PEREGRINE_UNROLL
  for (int i = 0; i < kPixels; ++i) {
    const int x = column + i * kLanes;
    if (x >= target.width) continue;
    PEREGRINE_UNROLL
    for (int k = 0; k < 3; ++k) {
      store(out + k * target.channel_stride + x * target.column_stride,
            inside[i] ? sum[i].level[k] * target.scale[k] + target.bias[k] : target.padding[k]);
    }
  }
}

}  // namespace peregrine::vision
