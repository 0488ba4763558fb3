// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_strided.h"

#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// A thread makes one output channel of a short run of positions along x, so that each weight is
// read once a run; neighbouring threads take neighbouring channels, whose weights lie side by side.
namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRun = 4;

/// Input position of tap `k`; -1 in the padding or between stretched positions.
__device__ __forceinline__ int source(const ConvStridedParams& p, int axis, int o, int k) {
  const int at = o * p.stride[axis] - p.pad[axis] + k * p.dilation[axis];
  if (p.stretch[axis] == 1) return at < p.in[axis] ? at : -1;
  if (at < 0 || at % p.stretch[axis] != 0) return -1;
  const int position = at / p.stretch[axis];
  return position < p.in[axis] ? position : -1;
}

__device__ __forceinline__ float load(const StridedPicture& picture, std::int64_t at) {
  return picture.half ? __half2float(static_cast<const __half*>(picture.data)[at])
                      : static_cast<const float*>(picture.data)[at];
}

struct Position {
  int image, z, y, x, channel;
};

__device__ __forceinline__ std::int64_t offset(const StridedPicture& t, const Position& at) {
  return at.image * t.stride[0] + at.channel * t.stride[1] + at.z * t.stride[2] +
         at.y * t.stride[3] + at.x * t.stride[4];
}

template <typename T>
__device__ __forceinline__ void add_taps(const ConvStridedParams& p, const Position& at,
                                         float (&sum)[kRun]) {
  const int channels = p.out_channels * p.groups;
  const T* picture = static_cast<const T*>(p.input.data) + at.image * p.input.stride[0] +
                     at.channel / p.out_channels * p.in_channels * p.input.stride[1];
  for (int i = 0; i < p.kernel[0]; ++i) {
    const int z = source(p, 0, at.z, i);
    if (z < 0) continue;
    for (int j = 0; j < p.kernel[1]; ++j) {
      const int y = source(p, 1, at.y, j);
      if (y < 0) continue;
      const T* row = picture + z * p.input.stride[2] + y * p.input.stride[3];
      for (int k = 0; k < p.kernel[2]; ++k) {
        const T* from[kRun];
        bool inside[kRun];
#pragma unroll
        for (int r = 0; r < kRun; ++r) {
          const int x = source(p, 2, at.x + r, k);
          inside[r] = x >= 0;
          from[r] = row + (inside[r] ? x : 0) * p.input.stride[4];
        }
        const std::int64_t tap = (i * p.kernel[1] + j) * p.kernel[2] + k;
        const float* weight = p.weight + tap * p.in_channels * channels + at.channel;
        // Eight loads in flight: a gate's single pixel is nothing but waiting.
#pragma unroll 8
        for (int c = 0; c < p.in_channels; ++c) {
          const float w = weight[static_cast<std::int64_t>(c) * channels];
#pragma unroll
          for (int r = 0; r < kRun; ++r) {
            const float value =
                inside[r] ? static_cast<float>(from[r][c * p.input.stride[1]]) : 0.0f;
            sum[r] = fmaf(w, value, sum[r]);
          }
        }
      }
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    conv_strided_kernel(const __grid_constant__ ConvStridedParams p) {
  let_next_kernel_start();
  const int channels = p.out_channels * p.groups;
  const int runs = (p.out[2] + kRun - 1) / kRun;
  std::int64_t rest = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  Position at;
  at.channel = static_cast<int>(rest % channels);
  rest /= channels;
  at.x = static_cast<int>(rest % runs) * kRun;
  rest /= runs;
  at.y = static_cast<int>(rest % p.out[1]);
  rest /= p.out[1];
  at.z = static_cast<int>(rest % p.out[0]);
  rest /= p.out[0];
  if (rest >= p.batch) return;
  at.image = static_cast<int>(rest);
  wait_for_previous_kernel();
  float sum[kRun];
#pragma unroll
  for (int r = 0; r < kRun; ++r) sum[r] = p.bias ? p.bias[at.channel] : 0.0f;
  add_taps<T>(p, at, sum);

  const std::int64_t residual_at = offset(p.residual, at);
  float residual[kRun] = {};
  if (p.residual.data) {
#pragma unroll
    for (int r = 0; r < kRun; ++r) {
      if (at.x + r < p.out[2])
        residual[r] = load(p.residual, residual_at + r * p.residual.stride[4]);
    }
  }
#pragma unroll
  for (int r = 0; r < kRun; ++r) {
    if (p.residual_before_activation) sum[r] += residual[r];
  }
  activate(sum, p.activation);
  const std::int64_t to = offset(p.output, at);
#pragma unroll
  for (int r = 0; r < kRun; ++r) {
    if (at.x + r >= p.out[2]) break;
    const float value = p.residual_before_activation ? sum[r] : sum[r] + residual[r];
    if (p.output.half) {
      static_cast<__half*>(p.output.data)[to + r * p.output.stride[4]] = __float2half_rn(value);
    } else {
      static_cast<float*>(p.output.data)[to + r * p.output.stride[4]] = value;
    }
  }
}

}  // namespace

void launch_conv_strided(const ConvStridedParams& p, bool overlapped, cudaStream_t stream) {
  const std::int64_t threads = std::int64_t{p.batch} * p.out[0] * p.out[1] *
                               ceil_div(p.out[2], kRun) * p.groups * p.out_channels;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(p.input.half ? reinterpret_cast<const void*>(&conv_strided_kernel<__half>)
                      : reinterpret_cast<const void*>(&conv_strided_kernel<float>),
         shape, p, stream);
}

}  // namespace peregrine::cuda
