// SPDX-License-Identifier: Apache-2.0
// Kernels of one position a thread. A body is a type with
//   using Params = ...;                       // with a member `walk`
//   static void run(const Params&, int index);  // host and device: CPU tests call it in a loop
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {

inline constexpr int kThreadsOfEach = 256;

template <typename Body>
__global__ void __launch_bounds__(kThreadsOfEach)
    each_kernel(const __grid_constant__ typename Body::Params p) {
  let_next_kernel_start();
  const int index = static_cast<int>(blockIdx.x * kThreadsOfEach + threadIdx.x);
  if (index >= p.walk.count) return;
  wait_for_previous_kernel();
  Body::run(p, index);
}

/// Nothing is launched for an empty walk.
template <typename Body>
void launch_each(const typename Body::Params& params, bool overlapped, cudaStream_t stream) {
  if (params.walk.count == 0) return;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((params.walk.count - 1) / kThreadsOfEach + 1));
  shape.block = dim3(kThreadsOfEach);
  shape.overlapped = overlapped;
  launch(reinterpret_cast<const void*>(&each_kernel<Body>), shape, params, stream);
}

}  // namespace peregrine::cuda
