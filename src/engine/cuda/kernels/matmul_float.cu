// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/kernels/matmul.cuh"

// The FP32 plan's product: 64 x 64 a block, 4 x 4 a thread, operands in shared memory 16 of K at a
// time.
namespace peregrine::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 64;
constexpr int kStep = 16;

/// One step of a matrix as [kStep][kTile]; `along` is M or N. Neighbouring threads follow the axis
/// with the smaller stride.
__device__ __forceinline__ void copy_panel(float (*to)[kTile + 4], const StridedMatrix& from,
                                           std::int64_t base, std::int64_t along_stride,
                                           std::int64_t k_stride, int along, int along_limit, int k,
                                           int k_limit) {
  const bool k_inner = k_stride == 1;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kStep * kTile; i += kThreads) {
    const int x = k_inner ? i / kStep : i % kTile;
    const int y = k_inner ? i % kStep : i / kTile;
    const bool inside = along + x < along_limit && k + y < k_limit;
    to[y][x] = inside ? load(from, base + (along + x) * along_stride + (k + y) * k_stride) : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads)
    matmul_float_kernel(const __grid_constant__ MatmulParams p) {
  __shared__ float a[kStep][kTile + 4], b[kStep][kTile + 4];
  let_next_kernel_start();
  const int batch = static_cast<int>(blockIdx.z);
  const int first_row = static_cast<int>(blockIdx.y) * kTile;
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  const int row = static_cast<int>(threadIdx.x) / 16 * 4;
  const int column = static_cast<int>(threadIdx.x) % 16 * 4;
  const std::int64_t a_base = batch_offset(p, p.a, batch), b_base = batch_offset(p, p.b, batch);
  wait_for_previous_kernel();
  float sum[4][4] = {};
  for (int k = 0; k < p.k; k += kStep) {
    copy_panel(a, p.a, a_base, p.a.row_stride, p.a.column_stride, first_row, p.m, k, p.k);
    copy_panel(b, p.b, b_base, p.b.column_stride, p.b.row_stride, first_column, p.n, k, p.k);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
#pragma unroll
      for (int y = 0; y < 4; ++y) {
#pragma unroll
        for (int x = 0; x < 4; ++x) {
          sum[y][x] = fmaf(a[i][row + y], b[i][column + x], sum[y][x]);
        }
      }
    }
    __syncthreads();
  }
  const std::int64_t base = batch_offset(p, p.output, batch);
#pragma unroll
  for (int y = 0; y < 4; ++y) {
    if (first_row + row + y >= p.m) break;
    finish(p, batch, first_row + row + y, first_column + column, sum[y]);
#pragma unroll
    for (int x = 0; x < 4; ++x) {
      if (first_column + column + x >= p.n) break;
      const std::int64_t at = base + (first_row + row + y) * p.output.row_stride +
                              (first_column + column + x) * p.output.column_stride;
      if (p.output.half) {
        static_cast<__half*>(p.output.data)[at] = __float2half_rn(sum[y][x]);
      } else {
        static_cast<float*>(p.output.data)[at] = sum[y][x];
      }
    }
  }
}

}  // namespace

void launch_matmul_float(const MatmulParams& p, bool overlapped, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(p.n, kTile)),
                    static_cast<unsigned>(ceil_div(p.m, kTile)), static_cast<unsigned>(p.batches));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(reinterpret_cast<const void*>(&matmul_float_kernel), shape, p, stream);
}

}  // namespace peregrine::cuda
