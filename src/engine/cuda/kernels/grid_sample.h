// SPDX-License-Identifier: Apache-2.0
// GridSample: a thread computes the place of one point once, for up to eight channels.
#pragma once

#include <cmath>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/vector.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

enum class SampleMode : std::int8_t { kNearest, kLinear, kCubic };
enum class SamplePadding : std::int8_t { kZeros, kBorder, kReflection };

struct GridSampleParams {
  static constexpr int kMaxAxes = 3;
  const void* input = nullptr;
  const void* grid = nullptr;
  void* output = nullptr;
  DType dtype = DType::kFloat32;  ///< of input and output; float32 or float16
  bool half_grid = false;         ///< the grid is float16, else float32
  SampleMode mode = SampleMode::kLinear;
  SamplePadding padding = SamplePadding::kZeros;
  bool align_corners = false;
  std::int32_t axes = 2;
  std::int32_t size[kMaxAxes] = {};  ///< of the picture; the axis of a grid's first entry (x) first
  std::int32_t stride[kMaxAxes] = {};  ///< in the input, in the same order
  std::int32_t entry_stride = 1;       ///< between a point's coordinates in the grid
  std::int32_t channels = 0;
  std::int32_t input_channel_stride = 1, output_channel_stride = 1;
  Walk<4> walk;          ///< over points and groups of channels: output, input, grid, channel
  bool vectors = false;  ///< channels are contiguous and a whole number of 16 bytes
};

/// Channels a thread computes.
inline int channels_a_thread(const GridSampleParams& p) {
  return p.vectors && p.dtype == DType::kFloat32 ? 4 : 8;
}

namespace sampling {

PEREGRINE_HOST_DEVICE float clamped(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}
/// Mirrors x at the edges low and high until it lies between them.
PEREGRINE_HOST_DEVICE float reflected(float x, float low, float high) {
  const float range = high - low;
  if (range <= 0) return low;
  float offset = fmodf(fabsf(x - low), 2 * range);
  if (offset > range) offset = 2 * range - offset;
  return low + offset;
}
/// Keys' cubic with a = -0.75.
PEREGRINE_HOST_DEVICE float cubic(float distance) {
  constexpr float a = -0.75F;
  const float t = fabsf(distance);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

/// Index to read for position i; -1 for zero.
PEREGRINE_HOST_DEVICE int index_of(const GridSampleParams& p, int i, int size) {
  if (i >= 0 && i < size) return i;
  if (p.padding == SamplePadding::kZeros) return -1;
  if (p.padding == SamplePadding::kBorder) return i < 0 ? 0 : size - 1;
  const auto n = static_cast<float>(size);
  const float x = reflected(static_cast<float>(i), p.align_corners ? 0 : -0.5F,
                            p.align_corners ? n - 1 : n - 0.5F);
  return static_cast<int>(clamped(rintf(x), 0, n - 1));
}

/// The taps of one axis at grid coordinate x: `Taps` indices (-1: zero) and weights.
template <int Taps>
PEREGRINE_HOST_DEVICE void axis_taps(const GridSampleParams& p, float x, int size,
                                     int (&indices)[Taps], float (&weights)[Taps]) {
  const auto n = static_cast<float>(size);
  x = p.align_corners ? (x + 1) / 2 * (n - 1) : ((x + 1) * n - 1) / 2;
  // Border and reflection act on the coordinate for linear and nearest, on each tap for cubic.
  if (Taps != 4 && p.padding != SamplePadding::kZeros) {
    if (p.padding == SamplePadding::kReflection) {
      x = p.align_corners ? reflected(x, 0, n - 1) : reflected(x, -0.5F, n - 0.5F);
    }
    x = clamped(x, 0, n - 1);
  }
  if (!(fabsf(x) <= 3.4e38F)) x = -1e6F;  // infinite or no number: far outside
  x = clamped(x, -1e9F, 1e9F);
  const float floor = floorf(x);
  const int base = static_cast<int>(floor);
  if constexpr (Taps == 1) {
    indices[0] = index_of(p, static_cast<int>(rintf(x)), size);
    weights[0] = 1;
  } else if constexpr (Taps == 2) {
    indices[0] = index_of(p, base, size);
    indices[1] = index_of(p, base + 1, size);
    weights[1] = x - floor;
    weights[0] = 1 - weights[1];
  } else {
    PEREGRINE_UNROLL
    for (int i = 0; i < Taps; ++i) {
      indices[i] = index_of(p, base - 1 + i, size);
      weights[i] = cubic(static_cast<float>(i - 1) - (x - floor));
    }
  }
}

}  // namespace sampling

template <typename T, int Taps, bool Vectors>
struct GridSampleBody {
  using Params = GridSampleParams;
  static constexpr int kWidth = Vectors ? kVector<T> : 8;

  static PEREGRINE_HOST_DEVICE float coordinate(const Params& p, int at) {
    return p.half_grid ? __half2float(static_cast<const __half*>(p.grid)[at])
                       : static_cast<const float*>(p.grid)[at];
  }

  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[4];
    p.walk.offsets(index, at);
    // Apart, so that what is indexed by constants stays in registers.
    int columns[Taps], rows[Taps], planes[Taps] = {};
    float column_weights[Taps], row_weights[Taps], plane_weights[Taps] = {1};
    sampling::axis_taps<Taps>(p, coordinate(p, at[2]), p.size[0], columns, column_weights);
    sampling::axis_taps<Taps>(p, coordinate(p, at[2] + p.entry_stride), p.size[1], rows,
                              row_weights);
    if (p.axes == 3) {
      sampling::axis_taps<Taps>(p, coordinate(p, at[2] + 2 * p.entry_stride), p.size[2], planes,
                                plane_weights);
    }
    const int channels = p.channels - at[3] < kWidth ? p.channels - at[3] : kWidth;
    const T* from = static_cast<const T*>(p.input) + at[1];
    float sum[kWidth] = {};
    for (int k = 0; k < (p.axes == 3 ? Taps : 1); ++k) {
      if (planes[k] < 0) continue;
      PEREGRINE_UNROLL
      for (int j = 0; j < Taps; ++j) {
        PEREGRINE_UNROLL
        for (int i = 0; i < Taps; ++i) {
          if (rows[j] < 0 || columns[i] < 0) continue;
          const T* pixel =
              from + columns[i] * p.stride[0] + rows[j] * p.stride[1] + planes[k] * p.stride[2];
          const float weight = column_weights[i] * row_weights[j] * plane_weights[k];
          if constexpr (Vectors) {
            add_weighted<T, kWidth>(pixel, weight, sum);
          } else {
            for (int c = 0; c < channels; ++c) {
              sum[c] += weight * converted<float>(pixel[c * p.input_channel_stride]);
            }
          }
        }
      }
    }
    T* to = static_cast<T*>(p.output) + at[0];
    if constexpr (Vectors) {
      store<T, kWidth>(to, sum);
    } else {
      for (int c = 0; c < channels; ++c) to[c * p.output_channel_stride] = converted<T>(sum[c]);
    }
  }
};

void launch_grid_sample(const GridSampleParams& params, bool overlapped, cudaStream_t stream);

template <typename T, int Taps, typename F>
void with_grid_sample_body(const GridSampleParams& p, F&& f) {
  if (p.vectors) return f(GridSampleBody<T, Taps, true>{});
  f(GridSampleBody<T, Taps, false>{});
}
template <typename T, typename F>
void with_grid_sample_mode(const GridSampleParams& p, F&& f) {
  switch (p.mode) {
    case SampleMode::kNearest: return with_grid_sample_body<T, 1>(p, f);
    case SampleMode::kLinear: return with_grid_sample_body<T, 2>(p, f);
    case SampleMode::kCubic: return with_grid_sample_body<T, 4>(p, f);
  }
}
template <typename F>
void with_body(const GridSampleParams& p, F&& f) {
  if (p.dtype == DType::kFloat16) return with_grid_sample_mode<__half>(p, f);
  with_grid_sample_mode<float>(p, f);
}

}  // namespace peregrine::cuda
