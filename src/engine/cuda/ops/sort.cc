// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/sort.h"

#include <bit>

#include <fmt/format.h>

#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/requirements.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Node;

namespace {
constexpr std::int64_t kLongestRow = std::int64_t{1} << 30;  // its power of two fits 32 bits
}

void plan_top_k(TopKParams& p) {
  const auto power_of_two = [](std::int32_t n) {
    return static_cast<std::int32_t>(std::bit_ceil(static_cast<std::uint32_t>(n)));
  };
  // Selecting costs about five passes over the row; sorting all of a short row is cheaper.
  constexpr std::int32_t kShort = 512;
  const std::int32_t whole = power_of_two(p.length);
  p.sorted = power_of_two(p.k);
  p.selects = p.length > kShort && p.sorted < whole;
  if (!p.selects) p.sorted = whole;
}

void lower_top_k(Lowering& to, const Node& node) {
  const model::Value* x = node.input(0);
  Operand from = to.read(x);
  const auto axis =
      static_cast<std::size_t>(model::wrap_axis(node.attributes.get_int("axis", -1), from.rank()));
  const std::int64_t k = to.ints(node, 1).at(0);
  const std::int64_t length = from.shape[axis];
  require_walkable(node, from);
  const bool counted = from.dtype == DType::kInt64;
  if (!counted && from.dtype != DType::kInt32) require_float(node, from, "input");
  if (counted && length > kTopKLongestCounted) {
    Lowering::refuse(node, fmt::format("it orders {} int64 values (at most {}; other types have no "
                                       "limit)",
                                       length, kTopKLongestCounted));
  }
  const Operand values = node.outputs()[0] ? to.write(node.outputs()[0]) : Operand{};
  const Operand indices =
      node.outputs().size() > 1 && node.outputs()[1] ? to.write(node.outputs()[1]) : Operand{};
  if (k == 0 || is_empty(from)) return;
  if (length > kLongestRow) Lowering::refuse(node, "its rows are longer than 2^30");
  Step step = to.step(counted ? "counted_top_k" : "top_k", node);
  step.attributes.set("axis", static_cast<std::int64_t>(axis));
  step.attributes.set("k", k);
  step.attributes.set("largest", node.attributes.get_int("largest", 1));
  step.inputs = {std::move(from)};
  step.outputs = {values, indices};
  TopKParams plan;
  plan.length = checked_int32(length);
  plan.k = checked_int32(k);
  plan_top_k(plan);
  if (!counted && plan.sorted > kTopKSharedNumbers) {
    step.outputs.push_back(
        to.scratch(DType::kUint64, {element_count(x->shape) / length, plan.sorted}));
    require_walkable(node, step.outputs.back());
  }
  to.emit(std::move(step));
}

namespace {

// A view along `axis`: its stride there, and the strides of rows.
struct Rows {
  std::int32_t along = 0;
  Shape strides;
};
Rows rows_of(const TensorView& view, std::size_t axis, std::size_t rank) {
  if (!view.data) return {0, Shape(rank, 0)};
  Rows rows{checked_int32(view.strides[axis]), view.strides};
  rows.strides[axis] = 0;
  return rows;
}

}  // namespace

TopKParams top_k_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const auto axis = static_cast<std::size_t>(step.step.attributes.get_int("axis", 0));
  TopKParams p;
  p.input = from.data;
  p.values = step.output(0).data;
  p.indices = static_cast<std::int64_t*>(step.output(1).data);
  if (step.outputs.size() > 2) p.scratch = static_cast<std::uint64_t*>(step.output(2).data);
  p.input_dtype = from.dtype;
  p.value_dtype = step.output(0).dtype;
  p.largest = step.step.attributes.get_int("largest", 1) != 0;
  p.length = checked_int32(from.shape[axis]);
  p.k = checked_int32(step.step.attributes.get_int("k", 0));
  plan_top_k(p);
  const Rows input = rows_of(from, axis, from.shape.size());
  const Rows values = rows_of(step.output(0), axis, from.shape.size());
  const Rows indices = rows_of(step.output(1), axis, from.shape.size());
  p.input_stride = input.along;
  p.value_stride = values.along;
  p.index_stride = indices.along;
  Shape shape = from.shape;
  shape[axis] = 1;
  p.walk = make_walk(shape, {values.strides, input.strides, indices.strides});
  return p;
}

CountedTopKParams counted_top_k_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const auto axis = static_cast<std::size_t>(step.step.attributes.get_int("axis", 0));
  CountedTopKParams p;
  p.input = static_cast<const std::int64_t*>(from.data);
  p.values = static_cast<std::int64_t*>(step.output(0).data);
  p.indices = static_cast<std::int64_t*>(step.output(1).data);
  p.largest = step.step.attributes.get_int("largest", 1) != 0;
  p.length = checked_int32(from.shape[axis]);
  p.k = checked_int32(step.step.attributes.get_int("k", 0));
  const Rows input = rows_of(from, axis, from.shape.size());
  const Rows values = rows_of(step.output(0), axis, from.shape.size());
  const Rows indices = rows_of(step.output(1), axis, from.shape.size());
  p.input_stride = input.along;
  p.value_stride = values.along;
  p.index_stride = indices.along;
  Shape position(from.shape.size(), 0);
  position[axis] = 1;
  p.walk = make_walk(from.shape, {input.strides, values.strides, indices.strides, position});
  return p;
}

void run_top_k(const BoundStep& step) {
  launch_top_k(top_k_params(step), step.overlapped, step.stream);
}
void run_counted_top_k(const BoundStep& step) {
  launch_counted_top_k(counted_top_k_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
