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

/// What is added to the scores, at strides in elements over (image, head, query, key); 0
/// broadcasts.
struct AttentionMask {
  enum class Kind : std::int8_t { kNone, kHalf, kFloat, kBool };  ///< kBool: false is -infinity
  Kind kind = Kind::kNone;
  const void* data = nullptr;
  std::int64_t stride[4] = {};
};

/// softmax(scale * Q K^T + mask) V, in one pass over the keys: the scores never leave the
/// registers. Query and value widths may differ (YOLO11's C2PSA has 32 and 64).
struct AttentionParams {
  AttentionTensor query, key, value, output;
  AttentionMask mask;
  int batch = 1, heads = 1;
  int heads_per_key = 1;  ///< query heads that share one head of keys and values
  int queries = 0, keys = 0;
  int query_width = 0;  ///< at most 128, in eights; also the keys'
  int value_width = 0;  ///< likewise; also the result's
  float scale = 1.0f;
  float softcap = 0;  ///< above 0: scores s become softcap * tanh(s / softcap)
  bool causal = false;
  int past = 0;                 ///< query i sees keys up to i + past where `causal`
  bool zero_if_masked = false;  ///< a query that sees no key gives 0, not NaN

  /// A softmax of scaled products and nothing else; there a maximum may be taken before scaling.
  bool plain() const {
    return mask.kind == AttentionMask::Kind::kNone && !causal && softcap == 0 && scale > 0;
  }
};

/// Widths, strides in eights, 16-byte aligned data.
bool attention_supports(const AttentionParams& params);
}  // namespace peregrine::cuda
