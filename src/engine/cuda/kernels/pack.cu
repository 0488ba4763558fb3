// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/pack.h"

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;
using Extents = std::array<FastDivisor, PackParams::kMaxRank>;
using Strides = std::array<std::int64_t, PackParams::kMaxRank>;

__device__ __forceinline__ std::int64_t offset_of(int index, int rank, const Extents& extents,
                                                  const Strides& strides) {
  std::int64_t offset = 0;
#pragma unroll
  for (int d = 0; d < PackParams::kMaxRank; ++d) {
    if (d >= rank) break;
    // The outermost axis takes what is left.
    const int quotient = d + 1 < rank ? extents[d].divide(index) : 0;
    offset += (index - quotient * static_cast<int>(extents[d].divisor)) * strides[d];
    index = quotient;
  }
  return offset;
}

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
      static_cast<const T*>(p.input) + offset_of(row, p.row_rank, p.row_extent, p.row_stride);
  wait_for_previous_kernel();
  float value[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int element = first + i;
    value[i] =
        element < p.width
            ? static_cast<float>(
                  from[offset_of(element, p.element_rank, p.element_extent, p.element_stride)])
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
