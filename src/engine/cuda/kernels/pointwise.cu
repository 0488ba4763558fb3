// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/kernels/pointwise.h"
#include "engine/cuda/kernels/pointwise_math.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kScattered = 4;  // elements a thread of the kernel for any strides

template <typename T, int N>
__global__ void __launch_bounds__(kThreads)
    grouped_kernel(const __grid_constant__ PointwiseParams p) {
  let_next_kernel_start();
  const int group = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (group >= p.count / N) return;
  pointwise::Groups<N> access(p, group);
  wait_for_previous_kernel();
  pointwise::run<T, N>(p, access);
}

// A thread's elements lie a block apart, so that neighbours read neighbours.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    scattered_kernel(const __grid_constant__ PointwiseParams p) {
  let_next_kernel_start();
  int linear[kScattered];
#pragma unroll
  for (int k = 0; k < kScattered; ++k) {
    linear[k] =
        (static_cast<int>(blockIdx.x) * kScattered + k) * kThreads + static_cast<int>(threadIdx.x);
  }
  if (linear[0] >= p.count) return;
  const pointwise::Scattered<kScattered> access(p, linear);
  wait_for_previous_kernel();
  pointwise::run<T, kScattered>(p, access);
}

const void* kernel_of(bool integers, int width) {
  if (integers) {
    return width == 1 ? reinterpret_cast<const void*>(&scattered_kernel<std::int64_t>)
                      : reinterpret_cast<const void*>(&grouped_kernel<std::int64_t, 4>);
  }
  switch (width) {
    case 8: return reinterpret_cast<const void*>(&grouped_kernel<float, 8>);
    case 4: return reinterpret_cast<const void*>(&grouped_kernel<float, 4>);
    default: return reinterpret_cast<const void*>(&scattered_kernel<float>);
  }
}

}  // namespace

void launch_pointwise(const PointwiseParams& params, bool overlapped, cudaStream_t stream) {
  if (params.count == 0) return;
  int width = pointwise_width(params);
  // Short of two blocks for each of an H200's 132 multiprocessors, more threads beat wider ones;
  // int64 fills registers twice as fast.
  if (width == 8 && (params.integers || params.count < 2 * 132 * kThreads * 8)) width = 4;
  const int each = kThreads * (width == 1 ? kScattered : width);
  LaunchShape shape;
  shape.grid =
      dim3(static_cast<unsigned>((static_cast<std::int64_t>(params.count) + each - 1) / each));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(kernel_of(params.integers, width), shape, params, stream);
}

}  // namespace peregrine::cuda
