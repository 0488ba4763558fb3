// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

namespace peregrine::cuda {

/// Softmax or LayerNorm along the innermost dimension of packed rows; FP16 or FP32 in memory, FP32
/// inside.
struct RowParams {
  const void* input = nullptr;
  void* output = nullptr;
  const void* scale = nullptr;  ///< LayerNorm: [width], of the input's type; may be null
  const void* bias = nullptr;   ///< likewise
  int rows = 0;
  int width = 0;
  float epsilon = 1e-5f;
};

void launch_softmax(const RowParams& params, bool half, bool overlapped, cudaStream_t stream);
void launch_layer_norm(const RowParams& params, bool half, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
