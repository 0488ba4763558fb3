// SPDX-License-Identifier: Apache-2.0
// Linear and cubic Resize: weighted sources for every position of up to three axes, worked out in
// double precision when the plan is built. Resizing to the nearest moves elements only (see
// ops/remap.h).
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/vector.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

struct ResizeParams {
  static constexpr int kMaxAxes = 3;
  const void* input = nullptr;
  void* output = nullptr;
  /// `taps` input positions and weights for every output position of an axis, axis after axis; a
  /// first position of -1: the extrapolation value stands here.
  const std::int32_t* positions = nullptr;
  const float* weights = nullptr;
  DType dtype = DType::kFloat32;  ///< of input and output; float32 or float16
  std::int32_t axes = 0;
  std::int32_t taps[kMaxAxes] = {1, 1, 1};
  std::int32_t table_start[kMaxAxes] = {};
  std::int32_t stride[kMaxAxes] = {};  ///< of the axes in the input
  float extrapolation = 0;
  Walk<2 + kMaxAxes> walk;  ///< output, input without the axes, position on each
  bool vectors = false;     ///< 16 bytes a thread
};

/// `Bilinear`: two axes of two taps, unrolled so that all four loads are under way at once.
template <typename T, int Width, bool Bilinear>
struct ResizeBody {
  using Params = ResizeParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[2 + ResizeParams::kMaxAxes];
    p.walk.offsets(index, at);
    const T* from = static_cast<const T*>(p.input) + at[1];
    T* to = static_cast<T*>(p.output) + at[0];
    int table[ResizeParams::kMaxAxes] = {};
    bool outside = false;
    PEREGRINE_UNROLL
    for (int k = 0; k < ResizeParams::kMaxAxes; ++k) {
      if (k >= (Bilinear ? 2 : p.axes)) break;
      table[k] = p.table_start[k] + at[2 + k] * (Bilinear ? 2 : p.taps[k]);
      outside = outside || p.positions[table[k]] < 0;
    }
    float sum[Width] = {};
    if (outside) {
      PEREGRINE_UNROLL
      for (int i = 0; i < Width; ++i) sum[i] = p.extrapolation;
    } else if constexpr (Bilinear) {
      PEREGRINE_UNROLL
      for (int i = 0; i < 2; ++i) {
        const T* row = from + p.positions[table[0] + i] * p.stride[0];
        PEREGRINE_UNROLL
        for (int j = 0; j < 2; ++j) {
          add_weighted<T, Width>(row + p.positions[table[1] + j] * p.stride[1],
                                 p.weights[table[0] + i] * p.weights[table[1] + j], sum);
        }
      }
    } else {
      for (int i = 0; i < p.taps[0]; ++i) {
        const float weight = p.weights[table[0] + i];
        const T* first = from + p.positions[table[0] + i] * p.stride[0];
        if (p.axes == 1) {
          add_weighted<T, Width>(first, weight, sum);
        } else {
          second_axis(p, first, weight, table, sum);
        }
      }
    }
    store<T, Width>(to, sum);
  }

 private:
  static PEREGRINE_HOST_DEVICE void second_axis(const Params& p, const T* from, float weight,
                                                const int (&table)[ResizeParams::kMaxAxes],
                                                float (&sum)[Width]) {
    for (int j = 0; j < p.taps[1]; ++j) {
      const float both = weight * p.weights[table[1] + j];
      const T* second = from + p.positions[table[1] + j] * p.stride[1];
      if (p.axes == 2) {
        add_weighted<T, Width>(second, both, sum);
        continue;
      }
      for (int k = 0; k < p.taps[2]; ++k) {
        add_weighted<T, Width>(second + p.positions[table[2] + k] * p.stride[2],
                               both * p.weights[table[2] + k], sum);
      }
    }
  }
};

void launch_resize(const ResizeParams& params, bool overlapped, cudaStream_t stream);

template <typename T, typename F>
void with_resize_body(const ResizeParams& p, F&& f) {
  const bool bilinear = p.axes == 2 && p.taps[0] == 2 && p.taps[1] == 2;
  if (p.vectors && bilinear) return f(ResizeBody<T, kVector<T>, true>{});
  if (p.vectors) return f(ResizeBody<T, kVector<T>, false>{});
  f(ResizeBody<T, 1, false>{});
}
template <typename F>
void with_body(const ResizeParams& p, F&& f) {
  if (p.dtype == DType::kFloat16) return with_resize_body<__half>(p, f);
  with_resize_body<float>(p, f);
}

}  // namespace peregrine::cuda
