// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/attention.h"

namespace peregrine::cuda {

/// One of Q, K, V or the result at any strides over (image, head, token, element), FP16 or FP32.
struct AttentionStridedTensor {
  void* data = nullptr;
  bool half = false;
  std::int64_t stride[4] = {};
};

/// Attention of any width and layout on FP32 arithmetic: the FP32 plan's kernel. Sizes, mask and
/// flags are those of `common`, whose tensors are not used.
struct AttentionStridedParams {
  AttentionStridedTensor query, key, value, output;
  AttentionParams common;
};

/// Widths up to this: a warp keeps its query and its result in shared memory.
constexpr int kAttentionStridedLimit = 1024;
void launch_attention_strided(const AttentionStridedParams& params, bool overlapped,
                              cudaStream_t stream);

}  // namespace peregrine::cuda
