// SPDX-License-Identifier: Apache-2.0
// Op::kAttention is ONNX's Attention of opset 23 with two attributes of ours:
//   layouts         how Q, K, V and Y lie in memory (four AttentionLayout), so that the pass that
//                   recognises attention can swallow the transposes around it;
//   zero_if_masked  1: a query whose keys are all masked gives 0, not NaN (PyTorch's guard).
#pragma once

#include "model/graph.h"

namespace peregrine::model {

/// How an operand of attention is laid out; its axes are batch, head, token and depth.
enum class AttentionLayout : std::uint8_t {
  kHeadTokenDepth,  ///< [batch, heads, tokens, depth]: ONNX's form with 4 axes
  kHeadDepthToken,  ///< [batch, heads, depth, tokens]: YOLO's C2PSA
  kTokenHeadDepth,  ///< [batch, tokens, heads, depth]
  kTokenMerged,     ///< [batch, tokens, heads * depth]: ONNX's form with 3 axes
};

struct AttentionGeometry {
  std::int64_t batch = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, depth = 0,
               value_depth = 0;
  std::int64_t past = 0;  ///< of `keys`, how many come from past_key and past_value
  AttentionLayout q{}, k{}, v{}, y{};
  float scale = 1;  ///< of Q * K^T
  bool zero_if_masked = false;
};

/// Shapes of Q, K, V and the mask ({} when absent); `past` tokens stand before K and V.
/// Throws `Error(kModelInvalid)` when they contradict each other.
AttentionGeometry attention_geometry(const Node& node, const Shape& q, const Shape& k,
                                     const Shape& v, std::int64_t past, const Shape& mask);
/// Shape of Y in the layout it has.
Shape attention_output(const AttentionGeometry& geometry);

/// Strides of (batch, head, token, depth) of a packed operand.
struct AttentionStrides {
  std::int64_t batch, head, token, depth;
};
AttentionStrides attention_strides(AttentionLayout layout, std::int64_t heads, std::int64_t tokens,
                                   std::int64_t depth);

}  // namespace peregrine::model
