// SPDX-License-Identifier: Apache-2.0
#include "model/attention.h"

#include <cmath>

#include <fmt/format.h>

#include "model/geometry.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

struct Extents {
  std::int64_t batch = 0, heads = 0, tokens = 0, depth = 0;
};

[[noreturn]] void fail(const Node& node, const std::string& what) {
  throw Error(ErrorCode::kModelInvalid, fmt::format("{} {}", describe(node), what));
}

Extents extents(const Node& node, const Shape& shape, AttentionLayout layout, std::int64_t heads) {
  const std::size_t rank = layout == AttentionLayout::kTokenMerged ? 3 : 4;
  if (shape.size() != rank) fail(node, fmt::format("has an operand of shape {}", to_string(shape)));
  switch (layout) {
    case AttentionLayout::kHeadTokenDepth: return {shape[0], shape[1], shape[2], shape[3]};
    case AttentionLayout::kHeadDepthToken: return {shape[0], shape[1], shape[3], shape[2]};
    case AttentionLayout::kTokenHeadDepth: return {shape[0], shape[2], shape[1], shape[3]};
    case AttentionLayout::kTokenMerged: break;
  }
  if (heads < 1 || shape[2] % heads != 0) {
    fail(node, fmt::format("splits shape {} into {} heads", to_string(shape), heads));
  }
  return {shape[0], heads, shape[1], shape[2] / heads};
}

}  // namespace

AttentionGeometry attention_geometry(const Node& node, const Shape& q, const Shape& k,
                                     const Shape& v, std::int64_t past, const Shape& mask) {
  AttentionGeometry g;
  const Ints layouts = node.attributes.get_ints("layouts");
  const auto layout = [&](std::size_t i, const Shape& shape) {
    if (layouts.size() == 4 && layouts[i] >= 0 && layouts[i] <= 3) {
      return static_cast<AttentionLayout>(layouts[i]);
    }
    return shape.size() == 3 ? AttentionLayout::kTokenMerged : AttentionLayout::kHeadTokenDepth;
  };
  g.q = layout(0, q);
  g.k = layout(1, k);
  g.v = layout(2, v);
  g.y = layout(3, q);
  const std::int64_t heads = node.attributes.get_int("q_num_heads", 0);
  const std::int64_t kv_heads = node.attributes.get_int("kv_num_heads", heads);
  const Extents eq = extents(node, q, g.q, heads);
  const Extents ek = extents(node, k, g.k, kv_heads);
  const Extents ev = extents(node, v, g.v, kv_heads);
  const bool fits = eq.batch == ek.batch && ek.batch == ev.batch && ek.heads == ev.heads &&
                    ek.tokens == ev.tokens && eq.depth == ek.depth && ek.heads > 0 &&
                    eq.heads % ek.heads == 0 && past >= 0;
  if (!fits) {
    fail(node,
         fmt::format("attends with Q {}, K {}, V {}", to_string(q), to_string(k), to_string(v)));
  }
  g.batch = eq.batch;
  g.heads = eq.heads;
  g.kv_heads = ek.heads;
  g.queries = eq.tokens;
  g.keys = ek.tokens + past;
  g.past = past;
  g.depth = eq.depth;
  g.value_depth = ev.depth;
  g.scale = node.attributes.get_float("scale", 1.0F / std::sqrt(static_cast<float>(g.depth)));
  g.zero_if_masked = node.attributes.get_int("zero_if_masked", 0) != 0;
  const Shape weights{g.batch, g.heads, g.queries, g.keys};
  if (!mask.empty() && broadcast(mask, weights) != weights) {
    fail(node, fmt::format("has mask {} for weights {}", to_string(mask), to_string(weights)));
  }
  return g;
}

Shape attention_output(const AttentionGeometry& g) {
  switch (g.y) {
    case AttentionLayout::kHeadTokenDepth: return {g.batch, g.heads, g.queries, g.value_depth};
    case AttentionLayout::kHeadDepthToken: return {g.batch, g.heads, g.value_depth, g.queries};
    case AttentionLayout::kTokenHeadDepth: return {g.batch, g.queries, g.heads, g.value_depth};
    case AttentionLayout::kTokenMerged: return {g.batch, g.queries, g.heads * g.value_depth};
  }
  return {};
}

AttentionStrides attention_strides(AttentionLayout layout, std::int64_t heads, std::int64_t tokens,
                                   std::int64_t depth) {
  const std::int64_t batch = heads * tokens * depth;
  switch (layout) {
    case AttentionLayout::kHeadTokenDepth: return {batch, tokens * depth, depth, 1};
    case AttentionLayout::kHeadDepthToken: return {batch, tokens * depth, 1, tokens};
    case AttentionLayout::kTokenHeadDepth:
    case AttentionLayout::kTokenMerged: return {batch, depth, heads * depth, 1};
  }
  return {};
}

}  // namespace peregrine::model
