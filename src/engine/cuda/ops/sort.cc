// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/sort.h"

#include <bit>
#include <utility>

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

// The axis that is sorted, and the strides of rows along all others.
struct Sorted {
  std::size_t axis = 0;
  Shape input, values, indices;
};

// A view's stride along the axis and those of its rows; zeros where it is absent.
std::int32_t take_axis(const TensorView& view, std::size_t axis, std::size_t rank, Shape& rows) {
  rows = view.data ? view.strides : Shape(rank, 0);
  return checked_int32(std::exchange(rows[axis], 0));
}

// What both kernels want to know.
template <typename Params>
Sorted read_sorted(const BoundStep& step, Params& p) {
  const TensorView& from = step.input(0);
  const std::size_t rank = from.shape.size();
  Sorted sorted;
  sorted.axis = static_cast<std::size_t>(step.step.attributes.get_int("axis", 0));
  p.indices = static_cast<std::int64_t*>(step.output(1).data);
  p.largest = step.step.attributes.get_int("largest", 1) != 0;
  p.length = checked_int32(from.shape[sorted.axis]);
  p.k = checked_int32(step.step.attributes.get_int("k", 0));
  p.input_stride = take_axis(from, sorted.axis, rank, sorted.input);
  p.value_stride = take_axis(step.output(0), sorted.axis, rank, sorted.values);
  p.index_stride = take_axis(step.output(1), sorted.axis, rank, sorted.indices);
  return sorted;
}

}  // namespace

TopKParams top_k_params(const BoundStep& step) {
  TopKParams p;
  p.input = step.input(0).data;
  p.values = step.output(0).data;
  if (step.outputs.size() > 2) p.scratch = static_cast<std::uint64_t*>(step.output(2).data);
  p.input_dtype = step.input(0).dtype;
  p.value_dtype = step.output(0).dtype;
  const Sorted sorted = read_sorted(step, p);
  plan_top_k(p);
  Shape shape = step.input(0).shape;
  shape[sorted.axis] = 1;
  p.walk = make_walk(shape, {sorted.values, sorted.input, sorted.indices});
  return p;
}

CountedTopKParams counted_top_k_params(const BoundStep& step) {
  CountedTopKParams p;
  p.input = static_cast<const std::int64_t*>(step.input(0).data);
  p.values = static_cast<std::int64_t*>(step.output(0).data);
  const Sorted sorted = read_sorted(step, p);
  const Shape& shape = step.input(0).shape;
  Shape position(shape.size(), 0);
  position[sorted.axis] = 1;
  p.walk = make_walk(shape, {sorted.input, sorted.values, sorted.indices, position});
  return p;
}

void run_top_k(const BoundStep& step) {
  launch_top_k(top_k_params(step), step.overlapped, step.stream);
}
void run_counted_top_k(const BoundStep& step) {
  launch_counted_top_k(counted_top_k_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
