// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/pool_strided.h"

#include <cuda_fp16.h>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;

/// What has been seen of a window.
struct Pooled {
  float value;
  int count = 0;            // positions inside the picture
  int padded = 0;           // and in the stated padding
  std::int64_t where = -1;  // of the maximum: position in a plane

  __device__ explicit Pooled(Pooling pooling)
      : value(pooling == Pooling::kMaximum ? -INFINITY : 0.0f) {}

  __device__ __forceinline__ void add(const PoolStridedParams& p, float x, std::int64_t position) {
    ++count;
    if (p.pooling == Pooling::kAverage) {
      value += x;
    } else if (p.pooling == Pooling::kNorm) {
      value += p.power == 2.0f ? x * x : powf(fabsf(x), p.power);
    } else if (x > value || where < 0) {
      value = x;
      where = position;
    }
  }
  __device__ __forceinline__ void join(const PoolStridedParams& p, const Pooled& other) {
    count += other.count;
    padded += other.padded;
    if (p.pooling != Pooling::kMaximum) {
      value += other.value;
    } else if (other.where >= 0 && (where < 0 || other.value > value ||
                                    (other.value == value && other.where < where))) {
      value = other.value;
      where = other.where;
    }
  }
  __device__ __forceinline__ float result(const PoolStridedParams& p) const {
    if (p.pooling == Pooling::kMaximum) return value;
    if (p.pooling == Pooling::kNorm) {
      return p.power == 2.0f ? sqrtf(value) : powf(value, 1.0f / p.power);
    }
    const int all = count + (p.count_padding ? padded : 0);
    return all > 0 ? value / all : 0.0f;
  }
};

struct Position {
  int image, channel, z, y, x;
};
__device__ __forceinline__ std::int64_t offset(const std::int64_t (&stride)[5],
                                               const Position& at) {
  return at.image * stride[0] + at.channel * stride[1] + at.z * stride[2] + at.y * stride[3] +
         at.x * stride[4];
}

/// Taps `first`, `first + step`, ... of the window of output `at`.
template <typename T>
__device__ Pooled pool_window(const PoolStridedParams& p, const Position& at, int first, int step) {
  Pooled pooled(p.pooling);
  const int taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  const int o[3] = {at.z, at.y, at.x};
  const T* plane = static_cast<const T*>(p.input) + at.image * p.input_stride[0] +
                   at.channel * p.input_stride[1];
  for (int tap = first; tap < taps; tap += step) {
    const int k[3] = {tap / p.kernel[2] / p.kernel[1], tap / p.kernel[2] % p.kernel[1],
                      tap % p.kernel[2]};
    bool inside = true, stated = true;
    std::int64_t from = 0, position = 0;
#pragma unroll
    for (int d = 0; d < 3; ++d) {
      const int x = o[d] * p.stride[d] - p.pad[d] + k[d] * p.dilation[d];
      inside = inside && x >= 0 && x < p.in[d];
      stated = stated && x < p.in[d] + p.pad_end[d];
      from += x * p.input_stride[2 + d];
      position = position * p.in[d] + x;
    }
    if (inside) {
      pooled.add(p, static_cast<float>(plane[from]), position);
    } else if (stated) {
      ++pooled.padded;
    }
  }
  return pooled;
}

__device__ void store(const PoolStridedParams& p, const Position& at, const Pooled& pooled) {
  const std::int64_t to = offset(p.output_stride, at);
  const float value = pooled.result(p);
  if (p.output_half) {
    static_cast<__half*>(p.output)[to] = __float2half_rn(value);
  } else {
    static_cast<float*>(p.output)[to] = value;
  }
  if (!p.indices) return;
  std::int64_t where = pooled.where < 0 ? 0 : pooled.where;
  if (p.column_major) where = where % p.in[2] * p.in[1] + where / p.in[2];
  const std::int64_t plane = static_cast<std::int64_t>(at.image) * p.channels + at.channel;
  p.indices[offset(p.index_stride, at)] = plane * p.in[0] * p.in[1] * p.in[2] + where;
}

/// A thread an output, or a warp where windows are large.
template <typename T, bool Warp>
__global__ void __launch_bounds__(kThreads)
    pool_strided_kernel(const __grid_constant__ PoolStridedParams p) {
  let_next_kernel_start();
  std::int64_t rest = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int lane = Warp ? static_cast<int>(threadIdx.x) % 32 : 0;
  if (Warp) rest /= 32;
  Position at;
  at.channel = static_cast<int>(rest % p.channels);
  rest /= p.channels;
  at.x = static_cast<int>(rest % p.out[2]);
  rest /= p.out[2];
  at.y = static_cast<int>(rest % p.out[1]);
  rest /= p.out[1];
  at.z = static_cast<int>(rest % p.out[0]);
  rest /= p.out[0];
  if (rest >= p.batch) return;
  at.image = static_cast<int>(rest);
  wait_for_previous_kernel();
  Pooled pooled = pool_window<T>(p, at, lane, Warp ? 32 : 1);
  if constexpr (Warp) {
    for (int step = 16; step > 0; step /= 2) {
      Pooled other = pooled;
      other.value = __shfl_xor_sync(0xffffffffu, pooled.value, step);
      other.count = __shfl_xor_sync(0xffffffffu, pooled.count, step);
      other.padded = __shfl_xor_sync(0xffffffffu, pooled.padded, step);
      other.where = __shfl_xor_sync(0xffffffffu, pooled.where, step);
      pooled.join(p, other);
    }
  }
  if (lane == 0) store(p, at, pooled);
}

constexpr int kGlobalThreads = 256;

/// A block reduces 16 channels of a picture: two threads side by side fill a sector.
__global__ void __launch_bounds__(kGlobalThreads)
    global_pool_kernel(const __grid_constant__ GlobalPoolParams p) {
  constexpr int kLanes = kGlobalThreads / 2;
  __shared__ float partial[2][kGlobalThreads / 32][8];
  let_next_kernel_start();
  const int side = static_cast<int>(threadIdx.x) % 2, first = static_cast<int>(threadIdx.x) / 2;
  const int channel = static_cast<int>(blockIdx.x) * 16 + side * 8;
  const int image = static_cast<int>(blockIdx.y);
  const bool inside = channel < p.channels;
  const __half* input = static_cast<const __half*>(p.input) +
                        static_cast<std::int64_t>(image) * p.pixels * p.input_stride + channel;
  float result[8];
#pragma unroll
  for (int c = 0; c < 8; ++c) result[c] = p.average ? 0.0f : -INFINITY;
  wait_for_previous_kernel();
  if (inside) {
#pragma unroll 4
    for (int i = first; i < p.pixels; i += kLanes) {
      float value[8];
      to_floats(
          *reinterpret_cast<const Half8*>(input + static_cast<std::int64_t>(i) * p.input_stride),
          value);
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        result[c] = p.average ? result[c] + value[c] : fmaxf(result[c], value[c]);
      }
    }
  }
  // Lanes of one parity hold the same channels.
#pragma unroll
  for (int c = 0; c < 8; ++c) {
#pragma unroll
    for (int step = 16; step > 1; step /= 2) {
      const float other = __shfl_xor_sync(0xffffffffu, result[c], step);
      result[c] = p.average ? result[c] + other : fmaxf(result[c], other);
    }
    if (threadIdx.x % 32 < 2) partial[side][threadIdx.x / 32][c] = result[c];
  }
  __syncthreads();
  if (threadIdx.x >= 16) return;
  const int c = static_cast<int>(threadIdx.x) % 8, half = static_cast<int>(threadIdx.x) / 8;
  const int to = static_cast<int>(blockIdx.x) * 16 + static_cast<int>(threadIdx.x);
  if (to >= p.channels) return;
  float all = partial[half][0][c];
#pragma unroll
  for (int i = 1; i < kGlobalThreads / 32; ++i) {
    all = p.average ? all + partial[half][i][c] : fmaxf(all, partial[half][i][c]);
  }
  if (p.average) all /= p.pixels;
  const std::int64_t at = image * p.output_stride + to;
  if (p.output_half) {
    static_cast<__half*>(p.output)[at] = __float2half_rn(all);
  } else {
    static_cast<float*>(p.output)[at] = all;
  }
}

}  // namespace

void launch_pool_strided(const PoolStridedParams& p, bool overlapped, cudaStream_t stream) {
  const auto address = [](auto* kernel) { return reinterpret_cast<const void*>(kernel); };
  const bool warp = p.kernel[0] * p.kernel[1] * p.kernel[2] >= 64;
  const void* kernel = p.input_half ? (warp ? address(&pool_strided_kernel<__half, true>)
                                            : address(&pool_strided_kernel<__half, false>))
                                    : (warp ? address(&pool_strided_kernel<float, true>)
                                            : address(&pool_strided_kernel<float, false>));
  const std::int64_t outputs =
      std::int64_t{p.batch} * p.channels * p.out[0] * p.out[1] * p.out[2] * (warp ? 32 : 1);
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((outputs + kThreads - 1) / kThreads));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(kernel, shape, p, stream);
}

void launch_global_pool(const GlobalPoolParams& p, bool overlapped, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid =
      dim3(static_cast<unsigned>(ceil_div(p.channels, 16)), static_cast<unsigned>(p.batch));
  shape.block = dim3(kGlobalThreads);
  shape.overlapped = overlapped;
  launch(reinterpret_cast<const void*>(&global_pool_kernel), shape, p, stream);
}

}  // namespace peregrine::cuda
