// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/quantize.h"

#include <fmt/format.h>

#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/requirements.h"
#include "model/convert.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Node;

namespace {

bool is_level(DType dtype) {
  return dtype == DType::kInt8 || dtype == DType::kUint8 || dtype == DType::kInt16 ||
         dtype == DType::kUint16;
}

// A constant as float32 [entries]; zeros where it is absent.
Operand constants(Lowering& to, const Node& node, int input, std::int64_t entries) {
  const model::Value* value = node.input(input);
  if (!value || element_count(value->shape) != entries) {
    return to.weight(Tensor::zeros(DType::kFloat32, {entries}));
  }
  if (!value->is_constant()) {
    Lowering::refuse(node, fmt::format("its {} must be known when the plan is built",
                                       input == 1 ? "scale" : "zero point"));
  }
  Tensor tensor = model::convert(*value->constant(), DType::kFloat32);
  const auto entry = tensor.as<float>();
  return to.weight(Tensor::of<float>(entry, {entries}));
}

void emit(Lowering& to, const Node& node, const Operand& from, const Operand& result) {
  const std::int64_t entries = element_count(node.input(1)->shape);
  require_walkable(node, from);
  require_walkable(node, result);
  Step step = to.step("quantize", node);
  if (entries != 1) {
    const std::int64_t axis = model::wrap_axis(node.attributes.get_int("axis", 1), result.rank());
    if (node.input(1)->rank() != 1 || result.shape[static_cast<std::size_t>(axis)] != entries) {
      Lowering::refuse(node, fmt::format("it has {} scales for an axis of {}", entries,
                                         result.shape[static_cast<std::size_t>(axis)]));
    }
    step.attributes.set("axis", axis);
  }
  if (is_empty(result)) return;
  step.inputs = {from, constants(to, node, 1, entries), constants(to, node, 2, entries)};
  step.outputs = {result};
  to.emit(std::move(step));
}

}  // namespace

void lower_quantize(Lowering& to, const Node& node) {
  const Operand from = to.read(node.input(0)), result = to.write(node.output());
  require_float(node, from, "input");
  if (!is_level(result.dtype)) {
    Lowering::refuse(node, fmt::format("it quantizes to {}", to_string(result.dtype)));
  }
  emit(to, node, from, result);
}

void lower_dequantize(Lowering& to, const Node& node) {
  const Operand from = to.read(node.input(0)), result = to.write(node.output());
  require_float(node, result, "result");
  if (!is_level(from.dtype) && from.dtype != DType::kInt32) {
    Lowering::refuse(node, fmt::format("it dequantizes {}", to_string(from.dtype)));
  }
  emit(to, node, from, result);
}

QuantizeParams quantize_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& to = step.output();
  QuantizeParams p;
  p.input = from.data;
  p.output = to.data;
  p.scales = static_cast<const float*>(step.input(1).data);
  p.zeros = static_cast<const float*>(step.input(2).data);
  p.input_dtype = from.dtype;
  p.output_dtype = to.dtype;
  Shape slice(to.shape.size(), 0);
  const std::int64_t axis = step.step.attributes.get_int("axis", -1);
  if (axis >= 0) slice[static_cast<std::size_t>(axis)] = 1;
  p.walk = make_walk(to.shape, {to.strides, from.strides, slice});
  return p;
}

void run_quantize(const BoundStep& step) {
  launch_quantize(quantize_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
