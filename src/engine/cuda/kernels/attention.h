// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace peregrine::cuda {

/// Where one of Q, K, V or the result lies: element (image, head, token, i) is at
/// data + image * image_stride + head * head_stride + token * token_stride + i. FP16.
struct AttentionTensor {
  void* data = nullptr;
  std::int64_t image_stride = 0;
  int head_stride = 0, token_stride = 0;
};

/// softmax(scale * Q K^T) V, in one pass over the keys: the scores never leave the registers.
/// Query and value widths may differ (YOLO11's C2PSA has 32 and 64).
struct AttentionParams {
  AttentionTensor query, key, value, output;
  int batch = 1, heads = 1;
  int queries = 0, keys = 0;
  int query_width = 0;  ///< 32 or 64; also the keys'
  int value_width = 0;  ///< 32 or 64; also the result's
  float scale = 1.0f;
};

/// Widths the kernel is compiled for, strides in eights, 16-byte aligned data.
bool attention_supports(const AttentionParams& params);
void launch_attention(const AttentionParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
