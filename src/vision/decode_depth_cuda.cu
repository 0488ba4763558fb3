// SPDX-License-Identifier: Apache-2.0
#include "vision/decode_depth_cuda.h"

#include <cstddef>
#include <limits>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::vision {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

struct RangeParams {
  const float* maps;
  int cells;
  DepthRange* ranges;
};

__device__ DepthRange joined(const DepthRange& a, const DepthRange& b) {
  return {fminf(a.low, b.low), fmaxf(a.high, b.high)};
}

__global__ void __launch_bounds__(kThreads) range_kernel(const __grid_constant__ RangeParams p) {
  __shared__ DepthRange of_warp[kWarps];
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float* map = p.maps + static_cast<std::ptrdiff_t>(blockIdx.y) * p.cells;
  DepthRange range{kInfinity, -kInfinity};
#pragma unroll 4
  for (int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x); i < p.cells;
       i += kDepthParts * kThreads) {
    const float value = map[i];
    if (fabsf(value) < kInfinity) range = joined(range, {value, value});
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    range = joined(range, {__shfl_xor_sync(0xffffffffu, range.low, distance),
                           __shfl_xor_sync(0xffffffffu, range.high, distance)});
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = range;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kWarps; ++w) range = joined(range, of_warp[w]);
  p.ranges[blockIdx.y * kDepthParts + blockIdx.x] = range;
}

}  // namespace

void launch_depth_ranges(const float* maps, int cells, DepthRange* ranges, int pictures,
                         cudaStream_t stream) {
  cuda::LaunchShape shape;
  shape.grid = dim3(kDepthParts, static_cast<unsigned>(pictures));
  shape.block = dim3(kThreads);
  shape.overlapped = false;
  cuda::launch(reinterpret_cast<const void*>(&range_kernel), shape,
               RangeParams{maps, cells, ranges}, stream);
}

}  // namespace peregrine::vision
