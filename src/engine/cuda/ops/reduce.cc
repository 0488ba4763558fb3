// SPDX-License-Identifier: Apache-2.0
// Reductions, ArgMax and ArgMin, running sums.
#include <algorithm>
#include <iterator>
#include <numeric>
#include <string>

#include "engine/cuda/ops/rows.h"
#include "model/convert.h"
#include "model/geometry.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Step;
using model::Node;
using model::Op;

constexpr const char* kNames[] = {"Sum",       "Mean", "L1",  "L2",  "SumSquare", "LogSum",
                                  "LogSumExp", "Prod", "Max", "Min", "ArgMax",    "ArgMin"};

ReduceOp reduce_op(const Step& step) {
  return static_cast<ReduceOp>(position_of_name(step, "reduction", kNames));
}

// The result as a tensor of the input's shape.
Operand reduced_output(Lowering& to, const Node& node, const model::Ints& axes) {
  Operand output = to.write(node.output());
  const Shape& shape = node.input(0)->shape;
  const bool kept = output.rank() == static_cast<int>(shape.size());
  Shape strides(shape.size(), 0);
  std::size_t next = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const bool reduced =
        std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(axis)) != axes.end();
    if (!reduced) strides[axis] = output.strides[kept ? axis : next];
    if (!reduced) ++next;
  }
  output.shape = shape;
  output.strides = strides;
  return output;
}

model::Ints reduced_axes(Lowering& to, const Node& node) {
  const int rank = node.input(0)->rank();
  model::Ints axes = node.has_input(1) ? to.ints(node, 1) : model::Ints();
  if (axes.empty() && node.attributes.get_int("noop_with_empty_axes", 0) == 0) {
    axes.resize(static_cast<std::size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  for (std::int64_t& axis : axes) axis = model::wrap_axis(axis, rank);
  return axes;
}

void emit_reduction(Lowering& to, const Node& node, const std::string& name,
                    const model::Ints& axes) {
  const bool integers = !model::is_float(node.input(0)->dtype);
  if (integers && name == "LogSumExp") {
    Lowering::refuse(node, std::string("it has no form for ") + to_string(node.input(0)->dtype));
  }
  emit_reduce(to, node, name, to.read(node.input(0)), reduced_output(to, node, axes), axes);
}

}  // namespace

void emit_reduce(Lowering& to, const Node& node, const std::string& name, Operand input,
                 Operand output, const model::Ints& axes) {
  Step step = to.step("reduce", node);
  step.attributes.set("integers", std::int64_t{!model::is_float(input.dtype)});
  step.inputs = {std::move(input)};
  step.outputs = {std::move(output)};
  step.attributes.set("reduction", name);
  step.attributes.set("select_last", node.attributes.get_int("select_last_index", 0));
  set_axes(step, node, axes);
  to.emit(std::move(step));
}

void lower_reduce(Lowering& to, const Node& node) {
  const std::string op = model::to_string(node.op());
  emit_reduction(to, node, op.substr(std::string("Reduce").size()), reduced_axes(to, node));
}

void lower_arg_reduce(Lowering& to, const Node& node) {
  const std::int64_t axis =
      model::wrap_axis(node.attributes.get_int("axis", 0), node.input(0)->rank());
  emit_reduction(to, node, model::to_string(node.op()), {axis});
}

ReduceParams reduce_params(const BoundStep& step) {
  const BoundRows bound = bind_rows(step);
  const model::Attributes& attributes = step.step.attributes;
  ReduceParams params;
  params.rows = bound.rows;
  params.input = bound.tensors.front();
  params.output = bound.tensors.back();
  params.op = reduce_op(step.step);
  params.integers = attributes.get_int("integers", 0) != 0;
  params.select_last = attributes.get_int("select_last", 0) != 0;
  return params;
}

void run_reduce(const BoundStep& step) {
  launch_reduce(reduce_params(step), step.overlapped, step.stream);
}

void lower_cumulative_sum(Lowering& to, const Node& node) {
  const model::Ints axis = to.ints(node, 1);
  if (axis.size() != 1) Lowering::refuse(node, "it wants one axis");
  Step step = to.step("cumulative_sum", node);
  step.inputs = {to.read(node.input(0))};
  step.outputs = {to.write(node.output())};
  step.attributes.set("integers", std::int64_t{!model::is_float(node.input(0)->dtype)});
  step.attributes.set("exclusive", node.attributes.get_int("exclusive", 0));
  step.attributes.set("reverse", node.attributes.get_int("reverse", 0));
  set_axes(step, node, {model::wrap_axis(axis[0], node.input(0)->rank())});
  to.emit(std::move(step));
}

CumulativeSumParams cumulative_sum_params(const BoundStep& step) {
  const BoundRows bound = bind_rows(step);
  const model::Attributes& attributes = step.step.attributes;
  CumulativeSumParams params;
  params.rows = bound.rows;
  params.input = bound.tensors.front();
  params.output = bound.tensors.back();
  params.integers = attributes.get_int("integers", 0) != 0;
  params.exclusive = attributes.get_int("exclusive", 0) != 0;
  params.reverse = attributes.get_int("reverse", 0) != 0;
  return params;
}

void run_cumulative_sum(const BoundStep& step) {
  launch_cumulative_sum(cumulative_sum_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
