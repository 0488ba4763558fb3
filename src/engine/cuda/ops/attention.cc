// SPDX-License-Identifier: Apache-2.0
// Attention. Operands become [batch, head, token, depth] by their strides, whatever their layout;
// FP16 with depths in eights takes the tensor cores, all else the strided kernel.
#include "model/attention.h"

#include <algorithm>
#include <cmath>

#include "compiler/rewrite.h"
#include "compiler/strided.h"
#include "engine/cuda/attention_tactics.h"
#include "engine/cuda/current_device.h"
#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/kernels/attention_strided.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/rows.h"
#include "model/convert.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::AttentionGeometry;
using model::AttentionLayout;
using model::Node;
using model::Value;

namespace {

enum Input { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kInputs };

// The same memory as [batch, head, token, depth].
Operand by_head(const Operand& from, AttentionLayout layout, std::int64_t heads) {
  Operand to = from;
  const Shape& shape = from.shape;
  const Shape& stride = from.strides;
  switch (layout) {
    case AttentionLayout::kHeadTokenDepth: return to;
    case AttentionLayout::kHeadDepthToken: return permuted(from, {0, 1, 3, 2});
    case AttentionLayout::kTokenHeadDepth: return permuted(from, {0, 2, 1, 3});
    case AttentionLayout::kTokenMerged: break;
  }
  const std::int64_t depth = shape[2] / heads;
  to.shape = {shape[0], heads, shape[1], depth};
  to.strides = {stride[0], depth * stride[2], stride[1], stride[2]};
  to.value.clear();
  return to;
}

// Strides of [batch, head, token, depth] packed with a token's heads side by side: what
// projections read and write.
Shape by_token(const Shape& shape) {
  const std::int64_t token = shape[1] * shape[3];
  return {shape[2] * token, shape[3], token, 1};
}

// Past tokens in front of the new ones, in memory of their own.
Operand joined(Lowering& to, const Node& node, const Operand& past, const Operand& now) {
  Shape shape = now.shape;
  shape[2] += past.shape[2];
  const Operand all = to.scratch(now.dtype, shape);
  std::int64_t position = 0;
  for (const Operand& part : {past, now}) {
    Step copy = to.step("copy", node);
    copy.epilogue = {};
    Operand place = all;
    place.shape = part.shape;
    place.offset += position * all.strides[2] * static_cast<std::int64_t>(size_of(all.dtype));
    position += part.shape[2];
    copy.inputs = {part};
    copy.outputs = {place};
    if (element_count(part.shape) > 0) to.emit(std::move(copy));
  }
  return all;
}

void store_present(Lowering& to, const Node& node, std::size_t output, const Operand& all) {
  if (!is_wanted(node, output)) return;
  Step copy = to.step("copy", node);
  copy.inputs = {all};
  copy.outputs = {to.write(node.outputs()[output])};
  to.emit(std::move(copy));
}

// Whether a constant of four axes says the same at every position of `axis`.
bool repeats(std::span<const float> values, const Shape& shape, std::size_t axis) {
  const std::int64_t inner = element_count(std::span(shape).subspan(axis + 1));
  const std::int64_t block = inner * shape[axis];
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(values.size()); ++i) {
    const auto first = static_cast<std::size_t>(i - i % block + i % inner);
    if (values[static_cast<std::size_t>(i)] != values[first]) return false;
  }
  return true;
}

// A mask known at build time, without what it repeats (exporters expand masks to all heads), absent
// when it masks nothing.
Operand constant_mask(Lowering& to, const Value* value) {
  Shape shape = value->shape;
  shape.insert(shape.begin(), 4 - shape.size(), 1);
  std::vector<float> values;
  if (value->dtype == DType::kBool) {
    for (const bool seen : value->constant()->as<bool>()) values.push_back(seen ? 0 : -INFINITY);
  } else {
    values = compiler::floats_of(value);
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < 2 || !repeats(values, shape, axis)) continue;
    const std::int64_t inner = element_count(std::span(shape).subspan(axis + 1));
    std::vector<float> once;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (static_cast<std::int64_t>(i) / inner % shape[axis] == 0) once.push_back(values[i]);
    }
    values = std::move(once);
    shape[axis] = 1;
  }
  if (values == std::vector<float>{0.0F}) return {};
  return float_weight(to, values, shape);
}

// As [batch, heads, queries, keys] by strides; FP16, FP32 or bool.
Operand read_mask(Lowering& to, const Node& node, const Shape& weights) {
  const Value* value = node.input(kMask);
  if (!value) return {};
  if (value->dtype != DType::kBool && !model::is_float(value->dtype)) {
    Lowering::refuse(node, std::string("its mask is of type ") + to_string(value->dtype));
  }
  return broadcast_to(value->is_constant() ? constant_mask(to, value) : to.read(value), weights);
}

AttentionTensor fast_tensor(const TensorView& view) {
  return {view.data, view.strides[0], static_cast<int>(view.strides[1]),
          static_cast<int>(view.strides[2])};
}

AttentionStridedTensor strided_tensor(const TensorView& view) {
  AttentionStridedTensor tensor;
  tensor.data = view.data;
  tensor.half = view.dtype == DType::kFloat16;
  std::copy(view.strides.begin(), view.strides.end(), tensor.stride);
  return tensor;
}

// Everything but the strided kernel's tensors.
AttentionParams attention_params(const BoundStep& step) {
  const TensorView& q = step.input(kQuery);
  const TensorView& k = step.input(kKey);
  const TensorView& v = step.input(kValue);
  const TensorView& mask = step.input(kMask);
  const model::Attributes& a = step.step.attributes;
  AttentionParams p;
  p.query = fast_tensor(q);
  p.key = fast_tensor(k);
  p.value = fast_tensor(v);
  p.output = fast_tensor(step.output());
  if (mask.data) {
    using Kind = AttentionMask::Kind;
    p.mask.kind = mask.dtype == DType::kBool      ? Kind::kBool
                  : mask.dtype == DType::kFloat16 ? Kind::kHalf
                                                  : Kind::kFloat;
    p.mask.data = mask.data;
    std::copy(mask.strides.begin(), mask.strides.end(), p.mask.stride);
  }
  p.batch = static_cast<int>(q.shape[0]);
  p.heads = static_cast<int>(q.shape[1]);
  p.heads_per_key = static_cast<int>(q.shape[1] / k.shape[1]);
  p.queries = static_cast<int>(q.shape[2]);
  p.keys = static_cast<int>(k.shape[2]);
  p.query_width = static_cast<int>(q.shape[3]);
  p.value_width = static_cast<int>(v.shape[3]);
  p.scale = a.get_float("scale", 1.0F);
  p.softcap = a.get_float("softcap", 0.0F);
  p.causal = a.get_int("causal", 0) != 0;
  p.past = static_cast<int>(a.get_int("past", 0));
  p.zero_if_masked = a.get_int("zero_if_masked", 0) != 0;
  return p;
}

// In an FP16 plan: whether the fast kernel takes these widths at all.
bool has_fast_widths(const AttentionGeometry& g) {
  AttentionParams p;
  p.batch = static_cast<int>(g.batch);
  p.heads = static_cast<int>(g.heads);
  p.query_width = static_cast<int>(g.depth);
  p.value_width = static_cast<int>(g.value_depth);
  return attention_supports(p);
}

// An operand the fast kernel can read: as it lies, or copied.
Operand fast_operand(Lowering& to, const Operand& from) {
  if (is_aligned_half(from, 3)) return from;
  return to.copied(from, DType::kFloat16, by_token(from.shape));
}

void check(const Node& node, const AttentionGeometry& g) {
  if (is_wanted(node, 3)) {
    Lowering::refuse(node, "it asks for its scores (output qk_matmul_output)");
  }
  if (node.input(kQuery)->dtype != DType::kFloat32) {
    Lowering::refuse(node, "it attends with integers");
  }
  if (g.batch > 65535 || g.heads > 65535) {
    Lowering::refuse(node, "it has more than 65535 images or heads; use a smaller batch");
  }
  if (g.depth > kAttentionStridedLimit || g.value_depth > kAttentionStridedLimit) {
    Lowering::refuse(node, "a head is wider than 1024");
  }
}

}  // namespace

void lower_attention(Lowering& to, const Node& node) {
  const std::int64_t past = node.has_input(kPastKey) ? node.input(kPastKey)->shape[2] : 0;
  const AttentionGeometry g = model::attention_geometry(
      node, node.input(kQuery)->shape, node.input(kKey)->shape, node.input(kValue)->shape, past,
      node.has_input(kMask) ? node.input(kMask)->shape : Shape());
  check(node, g);
  Operand q = by_head(to.read(node.input(kQuery)), g.q, g.heads);
  Operand k = by_head(to.read(node.input(kKey)), g.k, g.kv_heads);
  Operand v = by_head(to.read(node.input(kValue)), g.v, g.kv_heads);
  if (past > 0) {
    k = joined(to, node, read_as(to, node, node.input(kPastKey), k.dtype), k);
    v = joined(to, node, read_as(to, node, node.input(kPastValue), v.dtype), v);
  }
  store_present(to, node, 1, k);
  store_present(to, node, 2, v);
  const Operand mask = read_mask(to, node, {g.batch, g.heads, g.queries, g.keys});
  const Operand place = by_head(to.write(node.output()), g.y, g.heads);
  const bool fast = to.precision() == Precision::kFloat16 && has_fast_widths(g);
  Step step = to.step(fast ? "attention" : "attention_strided", node);
  step.attributes.set("scale", g.scale);
  step.attributes.set("softcap", node.attributes.get_float("softcap", 0.0F));
  step.attributes.set("causal", node.attributes.get_int("is_causal", 0));
  step.attributes.set("past", past);
  step.attributes.set("zero_if_masked", std::int64_t{g.zero_if_masked});
  step.inputs = {q, k, v, mask};
  step.outputs = {place};
  if (!fast) return to.emit(std::move(step));
  for (Operand* each : {&step.inputs[0], &step.inputs[1], &step.inputs[2]}) {
    *each = fast_operand(to, *each);
  }
  if (is_aligned_half(place, 3)) return to.emit(std::move(step));
  Operand own = to.scratch(DType::kFloat16, place.shape);
  own.strides = by_token(place.shape);
  step.outputs = {own};
  to.emit(std::move(step));
  Step copy = to.step("copy", node);
  copy.inputs = {own};
  copy.outputs = {place};
  to.emit(std::move(copy));
}

std::vector<std::string> tactics_attention(const BoundStep& step, const DeviceInfo& device,
                                           std::size_t limit) {
  // The ranking is good enough: a fourth never won.
  std::vector<std::string> names;
  for (const AttentionTactic& tactic :
       attention_tactics(attention_params(step), device, std::min<std::size_t>(limit, 4))) {
    names.push_back(tactic.name);
  }
  return names;
}

void run_attention(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  const AttentionParams p = attention_params(step);
  const std::string& name = step.step.tactic;
  const AttentionTactic tactic = name.empty() ? attention_tactics(p, current_device(), 1).front()
                                              : named_attention_tactic(name, p);
  tactic.launch(p, step.overlapped, step.stream);
}

void run_attention_strided(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  AttentionStridedParams p;
  p.common = attention_params(step);
  p.query = strided_tensor(step.input(kQuery));
  p.key = strided_tensor(step.input(kKey));
  p.value = strided_tensor(step.input(kValue));
  p.output = strided_tensor(step.output());
  launch_attention_strided(p, step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
