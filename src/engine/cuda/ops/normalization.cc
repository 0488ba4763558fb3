// SPDX-License-Identifier: Apache-2.0
// Softmax and its kin, normalizations of every kind: one step each, whatever the axes and strides.
#include <algorithm>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/rows.h"
#include "engine/cuda/pointwise_chain.h"
#include "model/convert.h"
#include "model/geometry.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Step;
using model::Node;
using model::Op;

constexpr const char* kNames[] = {"Softmax", "LogSoftmax", "Hardmax", "Layer",
                                  "Rms",     "L1",         "L2",      "MeanVariance"};

Normalization normalization(const Step& step) {
  return static_cast<Normalization>(position_of_name(step, "normalization", kNames));
}

void want_floats(const Node& node) {
  if (!model::is_float(node.input(0)->dtype)) {
    Lowering::refuse(
        node, std::string("it computes with floats, not ") + to_string(node.input(0)->dtype));
  }
}

// `scale` and `bias` may be absent, else have x's shape.
void emit(Lowering& to, const Node& node, const char* name, const model::Ints& axes, float epsilon,
          Operand x, Operand y, Operand scale = {}, Operand bias = {}) {
  want_floats(node);
  Step step = to.step("normalize", node);
  step.attributes.set("normalization", std::string(name));
  step.attributes.set("epsilon", epsilon);
  step.inputs = {std::move(x), std::move(scale), std::move(bias)};
  step.outputs = {std::move(y)};
  set_axes(step, node, axes);
  to.emit(std::move(step));
}

// Channels as [groups, channels of a group].
Operand with_groups(Operand operand, std::int64_t groups) {
  const std::int64_t channels = operand.shape[1], stride = operand.strides[1];
  operand.shape[1] = channels / groups;
  operand.shape.insert(operand.shape.begin() + 1, groups);
  operand.strides.insert(operand.strides.begin() + 1, stride * (channels / groups));
  return operand;
}

// A vector with an entry a channel, or a group, as a tensor of x's shape [batch, groups, channels
// of a group, spatial...].
Operand group_factors(Operand vector, const Shape& x, bool per_group) {
  if (vector.is_absent()) return vector;
  const std::int64_t stride = vector.shape.empty() ? 0 : vector.strides[0];
  Shape strides(x.size(), 0);
  strides[1] = per_group ? stride : stride * x[2];
  strides[2] = per_group ? 0 : stride;
  vector.shape = x;
  vector.strides = strides;
  return vector;
}

void lower_groups(Lowering& to, const Node& node, std::int64_t groups, bool per_group) {
  const Operand x = to.read(node.input(0)), y = to.write(node.output());
  if (x.rank() < 2) Lowering::refuse(node, "it wants a channel axis");
  if (groups < 1 || x.shape[1] % groups != 0) {
    Lowering::refuse(node, fmt::format("it has {} channels in {} groups", x.shape[1], groups));
  }
  const Operand grouped = with_groups(x, groups);
  emit(to, node, "Layer", axes_from(2, grouped.rank()), node.attributes.get_float("epsilon", 1e-5F),
       grouped, with_groups(y, groups),
       group_factors(to.read(node.input(1)), grouped.shape, per_group),
       group_factors(to.read(node.input(2)), grouped.shape, per_group));
}

PointwiseInstruction instruction(PointwiseOp op) {
  PointwiseInstruction made;
  made.op = op;
  return made;
}
PointwiseInstruction with_operand(PointwiseOp op, std::int8_t operand) {
  PointwiseInstruction made = instruction(op);
  made.x = operand;
  return made;
}
PointwiseInstruction with_number(PointwiseOp op, float number) {
  PointwiseInstruction made = with_operand(op, PointwiseInstruction::kNumber);
  made.x_real = number;
  return made;
}

// A LayerNormalization's mean and 1 / deviation, for the models that ask: training does, so they
// are made from steps that exist and cost what those cost.
void emit_statistics(Lowering& to, const Node& node, const Operand& x, const model::Ints& axes,
                     float epsilon) {
  const bool wants_mean = is_wanted(node, 1), wants_deviation = is_wanted(node, 2);
  if (!wants_mean && !wants_deviation) return;
  Shape shape = x.shape;
  for (const std::int64_t axis : axes) shape[static_cast<std::size_t>(axis)] = 1;
  const Operand mean = wants_mean ? to.write(node.output(1)) : to.scratch(DType::kFloat32, shape);
  emit_reduce(to, node, "Mean", x, broadcast_to(mean, x.shape), axes);
  if (!wants_deviation) return;
  using enum PointwiseOp;
  PointwiseChain squares, inverse;
  squares.instructions = {with_operand(kLoad, 0), with_operand(kSub, 1), instruction(kSquare)};
  inverse.instructions = {with_operand(kLoad, 0), with_number(kAdd, epsilon), instruction(kSqrt),
                          instruction(kReciprocal)};
  const Operand squared = to.scratch(DType::kFloat32, x.shape);
  const Operand variance = to.scratch(DType::kFloat32, shape);
  emit_chain(to, node, to.step("pointwise", node), squares, {x, mean}, squared);
  emit_reduce(to, node, "Mean", squared, broadcast_to(variance, x.shape), axes);
  emit_chain(to, node, to.step("pointwise", node), inverse, {variance}, to.write(node.output(2)));
}

}  // namespace

void lower_softmax(Lowering& to, const Node& node) {
  const Operand x = to.read(node.input(0));
  const std::int64_t axis = model::wrap_axis(node.attributes.get_int("axis", -1), x.rank());
  const bool flat = node.attributes.get_int("flatten_from_axis", 0) != 0;
  emit(to, node, model::to_string(node.op()), flat ? axes_from(axis, x.rank()) : model::Ints{axis},
       0, x, to.write(node.output()));
}

void lower_layer_normalization(Lowering& to, const Node& node) {
  const bool rms = node.op() == Op::kRMSNormalization;
  const Operand x = to.read(node.input(0));
  const model::Ints axes = axes_from(node.attributes.get_int("axis", -1), x.rank());
  const float epsilon = node.attributes.get_float("epsilon", 1e-5F);
  want_floats(node);
  emit_statistics(to, node, x, axes, epsilon);
  emit(to, node, rms ? "Rms" : "Layer", axes, epsilon, x, to.write(node.output()),
       broadcast_to(to.read(node.input(1)), x.shape),
       broadcast_to(to.read(node.input(2)), x.shape));
}

void lower_group_normalization(Lowering& to, const Node& node) {
  lower_groups(to, node, node.attributes.get_int("num_groups", 0),
               node.attributes.get_int("scale_per_group", 0) != 0);
}

void lower_instance_normalization(Lowering& to, const Node& node) {
  lower_groups(to, node, node.input(0)->rank() < 2 ? 0 : node.input(0)->shape[1], false);
}

void lower_lp_normalization(Lowering& to, const Node& node) {
  const Operand x = to.read(node.input(0));
  const std::int64_t axis = model::wrap_axis(node.attributes.get_int("axis", -1), x.rank());
  emit(to, node, node.attributes.get_int("p", 2) == 1 ? "L1" : "L2", {axis}, 0, x,
       to.write(node.output()));
}

void lower_mean_variance_normalization(Lowering& to, const Node& node) {
  const Operand x = to.read(node.input(0));
  model::Ints axes = node.attributes.get_ints("axes", {0, 2, 3});
  for (std::int64_t& axis : axes) axis = model::wrap_axis(axis, x.rank());
  constexpr float kEpsilon = 1e-9F;  // as ONNX's function body has it
  emit(to, node, "MeanVariance", axes, kEpsilon, x, to.write(node.output()));
}

NormalizeParams normalize_params(const BoundStep& step) {
  const BoundRows bound = bind_rows(step);
  NormalizeParams params;
  params.rows = bound.rows;
  params.input = bound.tensors.front();
  params.scale = bound.tensors.size() > 2 ? bound.tensors[1] : RowTensor{};
  params.bias = bound.tensors.size() > 3 ? bound.tensors[2] : RowTensor{};
  params.output = bound.tensors.back();
  params.kind = normalization(step.step);
  params.epsilon = step.step.attributes.get_float("epsilon", 1e-5F);
  return params;
}

void run_normalize(const BoundStep& step) {
  launch_normalize(normalize_params(step), step.overlapped, step.stream);
}

void lower_local_response(Lowering& to, const Node& node) {
  want_floats(node);
  const std::int64_t window = node.attributes.get_int("size", 1);
  Step step = to.step("local_response", node);
  step.inputs = {to.read(node.input(0))};
  step.outputs = {to.write(node.output())};
  if (step.inputs[0].rank() < 2 || window < 1) Lowering::refuse(node, "it wants channels");
  step.attributes.set("size", window);
  step.attributes.set("alpha", node.attributes.get_float("alpha", 1e-4F));
  step.attributes.set("beta", node.attributes.get_float("beta", 0.75F));
  step.attributes.set("bias", node.attributes.get_float("bias", 1.0F));
  set_axes(step, node, {1});
  to.emit(std::move(step));
}

LocalResponseParams local_response_params(const BoundStep& step) {
  const BoundRows bound = bind_rows(step);
  const model::Attributes& attributes = step.step.attributes;
  const auto window = static_cast<int>(attributes.get_int("size", 1));
  LocalResponseParams params;
  params.rows = bound.rows;
  params.input = bound.tensors.front();
  params.output = bound.tensors.back();
  params.before = (window - 1) / 2;
  params.after = window / 2;
  params.alpha = attributes.get_float("alpha", 1e-4F) / static_cast<float>(window);
  params.beta = attributes.get_float("beta", 0.75F);
  params.bias = attributes.get_float("bias", 1.0F);
  return params;
}

void run_local_response(const BoundStep& step) {
  launch_local_response(local_response_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
