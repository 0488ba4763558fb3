// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/axis_offset.h"
#include "engine/cuda/kernels/matmul.h"

// What both matrix products share.
namespace peregrine::cuda {

/// Element that entry `batch` starts at.
__device__ __forceinline__ std::int64_t batch_offset(const MatmulParams& p, const StridedMatrix& t,
                                                     int batch) {
  return axis_offset(batch, p.batch_rank, p.batch_extent, t.batch_stride);
}

__device__ __forceinline__ float load(const StridedMatrix& t, std::int64_t at) {
  return t.half ? __half2float(static_cast<const __half*>(t.data)[at])
                : static_cast<const float*>(t.data)[at];
}

/// Adds columns [column, column + N) of one row, `scale` times; stops at p.n.
template <int N>
__device__ __forceinline__ void add_row(const MatmulParams& p, const StridedMatrix& t,
                                        std::int64_t batch_at, int row, int column, float scale,
                                        float (&value)[N]) {
  const std::int64_t at = batch_at + row * t.row_stride;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    if (column + i < p.n) value[i] += scale * load(t, at + (column + i) * t.column_stride);
  }
}

/// alpha, bias, residual and activation of neighbouring columns of a row.
template <int N>
__device__ __forceinline__ void finish(const MatmulParams& p, int batch, int row, int column,
                                       float (&value)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) value[i] *= p.alpha;
  if (p.bias.data) {
    add_row(p, p.bias, batch_offset(p, p.bias, batch), row, column, p.beta, value);
  }
  const bool first = p.residual_before_activation;
  const std::int64_t residual = p.residual.data ? batch_offset(p, p.residual, batch) : 0;
  if (p.residual.data && first) add_row(p, p.residual, residual, row, column, 1.0f, value);
  activate(value, p.activation);
  if (p.residual.data && !first) add_row(p, p.residual, residual, row, column, 1.0f, value);
}

}  // namespace peregrine::cuda
