// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/activation.h"
#include "engine/cuda/kernels/fast_divisor.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

constexpr int kMaxMatmulBatchRank = 4;

/// One matrix a batch entry, FP16 or FP32, at any strides (in elements; 0 repeats).
struct StridedMatrix {
  void* data = nullptr;
  bool half = false;
  std::int64_t row_stride = 0, column_stride = 0;
  std::array<std::int64_t, kMaxMatmulBatchRank> batch_stride{};
};

/// output = epilogue(alpha * a b + beta * bias); sums in FP32. a is [m, k], b [k, n], the others
/// [m, n].
struct MatmulParams {
  StridedMatrix a, b, bias, residual, output;  ///< bias and residual: data null where there is none
  int m = 0, n = 0, k = 0;
  int batches = 1, batch_rank = 0;  ///< merged axes, innermost first
  std::array<FastDivisor, kMaxMatmulBatchRank> batch_extent;
  float alpha = 1, beta = 1;
  ActivationParams activation;
  bool residual_before_activation = false;
  // Set by the launcher.
  bool a_vectors = false, b_vectors = false;  ///< 16-byte copies are aligned
  bool vector_store = false;
};

/// Views of equal rank, batch axes first, broadcast by stride 0; `bias` and `residual` may have
/// null data. Throws `Error(kModelUnsupported)` when more than four batch axes are left after
/// merging or a size does not fit 31 bits.
MatmulParams make_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                         const TensorView& residual, const TensorView& output);

/// On tensor cores: FP32 operands are rounded to FP16. Quick where one stride of a and of b is 1
/// and all others are in eights; right for any.
void launch_matmul(MatmulParams params, bool overlapped, cudaStream_t stream);
/// FP32 throughout.
void launch_matmul_float(const MatmulParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
