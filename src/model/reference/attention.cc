// SPDX-License-Identifier: Apache-2.0
#include "model/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/reference/kernel.h"

namespace peregrine::model::reference::kernels {
namespace {

// Element (batch, head, token, depth) of an operand in its layout.
struct Operand {
  const float* data = nullptr;
  AttentionStrides strides{};
  float at(std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d) const {
    return data[b * strides.batch + h * strides.head + t * strides.token + d * strides.depth];
  }
};

// K or V with what past calls left in front: past tokens first, in ONNX's own layout.
struct Cached {
  Operand past, now;
  std::int64_t past_tokens = 0;
  float at(std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d) const {
    return t < past_tokens ? past.at(b, h, t, d) : now.at(b, h, t - past_tokens, d);
  }
};

Cached cached(const KernelContext& c, const AttentionGeometry& g, std::size_t index,
              std::size_t past, AttentionLayout layout, std::int64_t depth) {
  Cached result;
  result.past_tokens = g.past;
  result.now = {c.data<float>(index),
                attention_strides(layout, g.kv_heads, g.keys - g.past, depth)};
  if (g.past > 0) {
    result.past = {c.data<float>(past),
                   attention_strides(AttentionLayout::kHeadTokenDepth, g.kv_heads, g.past, depth)};
  }
  return result;
}

// 0 or -infinity for a bool mask, the number itself for a float mask.
float mask_value(const KernelContext& c, std::int64_t offset) {
  if (c.in(3).dtype() == DType::kFloat32) return c.data<float>(3)[offset];
  return c.data<std::int64_t>(3)[offset] != 0 ? 0.0F : -std::numeric_limits<float>::infinity();
}

void softmax(std::vector<float>& row, bool zero_if_masked) {
  const float largest = *std::max_element(row.begin(), row.end());
  if (zero_if_masked && std::isinf(largest) && largest < 0) {
    std::fill(row.begin(), row.end(), 0.0F);
    return;
  }
  double sum = 0;
  for (float& value : row) {
    value = std::exp(value - largest);
    sum += static_cast<double>(value);
  }
  for (float& value : row) value = static_cast<float>(static_cast<double>(value) / sum);
}

void store_present(const KernelContext& c, std::size_t output, const AttentionGeometry& g,
                   const Cached& source, std::int64_t depth) {
  if (!c.wants(output)) return;
  float* to = c.result<float>(output);
  for (std::int64_t b = 0; b < g.batch; ++b)
    for (std::int64_t h = 0; h < g.kv_heads; ++h)
      for (std::int64_t t = 0; t < g.keys; ++t)
        for (std::int64_t d = 0; d < depth; ++d) *to++ = source.at(b, h, t, d);
}

}  // namespace

// softmax(scale Q K^T + mask) V, one row of weights at a time.
void attention(const KernelContext& c) {
  if (c.in(0).dtype() != DType::kFloat32) c.fail("is computed in float32 only");
  const std::int64_t past = c.has(4) ? c.shape(4)[2] : 0;
  const Shape mask_shape = c.has(3) ? c.shape(3) : Shape();
  const AttentionGeometry g =
      attention_geometry(c.node, c.shape(0), c.shape(1), c.shape(2), past, mask_shape);
  const Operand q{c.data<float>(0), attention_strides(g.q, g.heads, g.queries, g.depth)};
  const Cached k = cached(c, g, 1, 4, g.k, g.depth);
  const Cached v = cached(c, g, 2, 5, g.v, g.value_depth);
  const AttentionStrides y = attention_strides(g.y, g.heads, g.queries, g.value_depth);
  const bool causal = c.attributes().get_int("is_causal", 0) != 0;
  const float softcap = c.attributes().get_float("softcap", 0.0F);
  const std::int64_t shown = c.attributes().get_int("qk_matmul_output_mode", 0);
  const Shape weights{g.batch, g.heads, g.queries, g.keys};
  const Ints mask_strides = c.has(3) ? broadcast_strides(mask_shape, weights) : Ints(4, 0);
  std::vector<float> row(static_cast<std::size_t>(g.keys));
  const auto show = [&](std::int64_t mode, std::int64_t at) {
    if (c.wants(3) && shown == mode)
      std::copy(row.begin(), row.end(), c.result<float>(3) + at * g.keys);
  };
  std::int64_t at = 0;
  for (std::int64_t b = 0; b < g.batch; ++b)
    for (std::int64_t h = 0; h < g.heads; ++h)
      for (std::int64_t i = 0; i < g.queries; ++i, ++at) {
        const std::int64_t shared = h / (g.heads / g.kv_heads);
        for (std::int64_t j = 0; j < g.keys; ++j) {
          float sum = 0;
          for (std::int64_t d = 0; d < g.depth; ++d)
            sum += q.at(b, h, i, d) * k.at(b, shared, j, d);
          row[static_cast<std::size_t>(j)] = sum * g.scale;
        }
        show(0, at);
        for (std::int64_t j = 0; j < g.keys; ++j) {
          float& weight = row[static_cast<std::size_t>(j)];
          const std::int64_t offset =
              b * mask_strides[0] + h * mask_strides[1] + i * mask_strides[2] + j * mask_strides[3];
          if (c.has(3)) weight += mask_value(c, offset);
          if (causal && j > i + past) weight = -std::numeric_limits<float>::infinity();
        }
        show(1, at);
        for (float& weight : row) {
          if (softcap > 0) weight = softcap * std::tanh(weight / softcap);
        }
        show(2, at);
        softmax(row, g.zero_if_masked);
        show(3, at);
        for (std::int64_t d = 0; d < g.value_depth; ++d) {
          float sum = 0;
          for (std::int64_t j = 0; j < g.keys; ++j)
            sum += row[static_cast<std::size_t>(j)] * v.at(b, shared, j, d);
          c.result<float>()[b * y.batch + h * y.head + i * y.token + d * y.depth] = sum;
        }
      }
  store_present(c, 1, g, k, g.depth);
  store_present(c, 2, g, v, g.value_depth);
}

}  // namespace peregrine::model::reference::kernels
