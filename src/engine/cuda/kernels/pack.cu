// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/pack.h"

#include "engine/cuda/kernels/axis_offset.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;

/// A thread makes eight elements of a row.
template <typename T>
__global__ void __launch_bounds__(kThreads) pack_kernel(const __grid_constant__ PackParams p) {
  let_next_kernel_start();
  const int chunks = p.padded / 8;
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (index >= p.rows * chunks) return;
  const int row = p.rows_first ? index % p.rows : index / chunks;
  const int first = (p.rows_first ? index / p.rows : index % chunks) * 8;
  const T* from =
      static_cast<const T*>(p.input) + axis_offset(row, p.row_rank, p.row_extent, p.row_stride);
  wait_for_previous_kernel();
  float value[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int element = first + i;
    value[i] =
        element < p.width
            ? static_cast<float>(
                  from[axis_offset(element, p.element_rank, p.element_extent, p.element_stride)])
            : 0.0f;
  }
  *reinterpret_cast<Half8*>(static_cast<__half*>(p.output) +
                            static_cast<std::int64_t>(row) * p.padded + first) = to_half8(value);
}

}  // namespace

void launch_pack(const PackParams& p, bool overlapped, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(p.rows * (p.padded / 8), kThreads)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(p.input_half ? reinterpret_cast<const void*>(&pack_kernel<__half>)
                      : reinterpret_cast<const void*>(&pack_kernel<float>),
         shape, p, stream);
}

}  // namespace peregrine::cuda
