// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/pool.h"

#include <cstdint>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;
constexpr float kLowest = -INFINITY;

/// A thread makes eight channels of one output pixel.
__global__ void __launch_bounds__(kThreads) pool_kernel(const __grid_constant__ PoolParams p) {
  let_next_kernel_start();
  const int chunks = p.channels / 8;
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int pixel = index / chunks, channel = index % chunks * 8;
  const int x = pixel % p.out_width, row = pixel / p.out_width;
  const int y = row % p.out_height, image = row / p.out_height;
  if (image >= p.batch) return;
  float result[8];
#pragma unroll
  for (int c = 0; c < 8; ++c) result[c] = p.average ? 0.0f : kLowest;
  int count = 0;
  wait_for_previous_kernel();
  for (int i = 0; i < p.kernel_height; ++i) {
    const int from_y = y * p.stride_y - p.pad_top + i * p.dilation_y;
    if (from_y < 0 || from_y >= p.in_height) continue;
    for (int j = 0; j < p.kernel_width; ++j) {
      const int from_x = x * p.stride_x - p.pad_left + j * p.dilation_x;
      if (from_x < 0 || from_x >= p.in_width) continue;
      const std::int64_t from =
          (static_cast<std::int64_t>(image) * p.in_height + from_y) * p.in_width + from_x;
      float value[8];
      to_floats(*reinterpret_cast<const Half8*>(static_cast<const __half*>(p.input) +
                                                from * p.input_stride + channel),
                value);
      ++count;
#pragma unroll
      for (int c = 0; c < 8; ++c) {
        result[c] = p.average ? result[c] + value[c] : fmaxf(result[c], value[c]);
      }
    }
  }
  if (p.average) {
    const float scale = 1.0f / (p.count_padding ? p.kernel_height * p.kernel_width : count);
#pragma unroll
    for (int c = 0; c < 8; ++c) result[c] *= scale;
  }
  *reinterpret_cast<Half8*>(static_cast<__half*>(p.output) +
                            static_cast<std::int64_t>(pixel) * p.output_stride + channel) =
      to_half8(result);
}

/// What a thread of the chain holds of one pixel: 2 or 8 channels. Words, since structures of
/// __half2 are copied member by member.
struct Two {
  static constexpr int kChannels = 2;
  unsigned pair;
};
struct alignas(16) Eight {
  static constexpr int kChannels = 8;
  uint4 quad;
};
__device__ __forceinline__ unsigned maximum(unsigned a, unsigned b) {
  const __half2 larger =
      __hmax2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const unsigned*>(&larger);
}
__device__ __forceinline__ Two maximum(const Two& a, const Two& b) {
  return {maximum(a.pair, b.pair)};
}
__device__ __forceinline__ Eight maximum(const Eight& a, const Eight& b) {
  return {make_uint4(maximum(a.quad.x, b.quad.x), maximum(a.quad.y, b.quad.y),
                     maximum(a.quad.z, b.quad.z), maximum(a.quad.w, b.quad.w))};
}

constexpr int kChainThreads = 256;

/// A block owns a few channels of one picture; a pool is a pass along rows and one along columns,
/// between two planes in shared memory. `Reach` is kernel / 2 where it is known, else 0. Beyond an
/// edge the pixel at the edge is taken again, which changes no maximum.
template <typename Vector, int Reach>
__global__ void __launch_bounds__(kChainThreads)
    pool_chain_kernel(const __grid_constant__ PoolChainParams p) {
  extern __shared__ __align__(16) unsigned char shared[];
  let_next_kernel_start();
  const int width = p.width, pixels = p.height * width;
  const int reach = Reach > 0 ? Reach : p.kernel / 2;
  Vector* plane = reinterpret_cast<Vector*>(shared);
  Vector* rows = plane + pixels;
  const int channel = static_cast<int>(blockIdx.x) * Vector::kChannels;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * pixels;
  wait_for_previous_kernel();
  const __half* input = static_cast<const __half*>(p.input) + channel;
  for (int i = static_cast<int>(threadIdx.x); i < pixels; i += kChainThreads) {
    plane[i] = *reinterpret_cast<const Vector*>(input + (first + i) * p.input_stride);
  }
#pragma unroll 1
  for (int pool = 0; pool < 3; ++pool) {
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < pixels; i += kChainThreads) {
      const int row = p.by_width.divide(i) * width, x = i - row;
      Vector best = plane[i];
#pragma unroll
      for (int d = 1; d <= reach; ++d) {
        best = maximum(best, plane[row + max(x - d, 0)]);
        best = maximum(best, plane[row + min(x + d, width - 1)]);
      }
      rows[i] = best;
    }
    __syncthreads();
    __half* output = static_cast<__half*>(p.output[pool]) + channel;
    for (int i = static_cast<int>(threadIdx.x); i < pixels; i += kChainThreads) {
      const int x = i - p.by_width.divide(i) * width, last = pixels - width + x;
      Vector best = rows[i];
#pragma unroll
      for (int d = 1; d <= reach; ++d) {
        best = maximum(best, rows[max(i - d * width, x)]);
        best = maximum(best, rows[min(i + d * width, last)]);
      }
      plane[i] = best;
      *reinterpret_cast<Vector*>(output + (first + i) * p.output_stride) = best;
    }
  }
}

template <typename Vector>
void launch_chain(PoolChainParams p, bool overlapped, cudaStream_t stream) {
  p.by_width = FastDivisor(p.width);
  const void* kernel = p.kernel == 5 ? reinterpret_cast<const void*>(&pool_chain_kernel<Vector, 2>)
                                     : reinterpret_cast<const void*>(&pool_chain_kernel<Vector, 0>);
  LaunchShape shape;
  shape.grid =
      dim3(static_cast<unsigned>(p.channels / Vector::kChannels), static_cast<unsigned>(p.batch));
  shape.block = dim3(kChainThreads);
  shape.shared_bytes = 2 * p.height * p.width * static_cast<int>(sizeof(Vector));
  shape.overlapped = overlapped;
  CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  shape.shared_bytes));
  launch(kernel, shape, p, stream);
}

}  // namespace

bool pool_supports(const PoolParams& p) {
  return p.channels % 8 == 0 && p.input_stride % 8 == 0 && p.output_stride % 8 == 0;
}

void launch_pool(const PoolParams& p, bool overlapped, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(
      ceil_div(p.batch * p.out_height * p.out_width * (p.channels / 8), kThreads)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(reinterpret_cast<const void*>(&pool_kernel), shape, p, stream);
}

bool pool_chain_supports(const PoolChainParams& p) {
  return p.channels % 8 == 0 && p.input_stride % 8 == 0 && p.output_stride % 8 == 0 &&
         p.kernel % 2 == 1 && 2 * p.height * p.width * 16 <= 96 * 1024;
}

void launch_pool_chain(const PoolChainParams& p, bool overlapped, cudaStream_t stream) {
  // Sixteen bytes a pixel read best; two channels a block spread a single picture over the device.
  if (p.batch * p.channels / 8 >= 64) {
    launch_chain<Eight>(p, overlapped, stream);
  } else {
    launch_chain<Two>(p, overlapped, stream);
  }
}

}  // namespace peregrine::cuda
