// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/rows.h"

#include <algorithm>

#include "compiler/strided.h"
#include "model/geometry.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Step;

std::vector<bool> mask_of(const model::Ints& axes, std::size_t rank) {
  std::vector<bool> mask(rank, false);
  for (const std::int64_t axis : axes) mask[static_cast<std::size_t>(axis)] = true;
  return mask;
}

}  // namespace

void set_axes(Step& step, const model::Node& node, const model::Ints& axes) {
  step.attributes.set("axes", axes);
  const Shape& shape = step.inputs.front().shape;
  std::vector<Shape> strides;
  for (const auto* operands : {&step.inputs, &step.outputs}) {
    for (const Operand& each : *operands) {
      strides.push_back(each.is_absent() ? Shape(shape.size(), 0) : each.strides);
    }
  }
  std::vector<RowTensor> tensors(strides.size());
  try {
    make_rows(shape, mask_of(axes, shape.size()), strides, tensors);
  } catch (const Error& error) {
    Lowering::refuse(node, error.what());
  }
}

BoundRows bind_rows(const BoundStep& step) {
  const auto reject = [&] {
    throw Error(ErrorCode::kModelInvalid, "step '" + step.step.name +
                                              "' has operands of different shapes, or axes they "
                                              "do not have; rebuild the plan");
  };
  if (step.inputs.empty() || step.outputs.empty()) reject();
  const Shape& shape = step.inputs.front().shape;
  const model::Ints axes = step.step.attributes.get_ints("axes");
  for (const std::int64_t axis : axes) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size())) reject();
  }
  BoundRows bound;
  std::vector<Shape> strides;
  const auto add = [&](const TensorView& view) {
    RowTensor& tensor = bound.tensors.emplace_back();
    strides.emplace_back(shape.size(), 0);
    if (!view.data) return;
    if (view.shape != shape || view.strides.size() != shape.size()) reject();
    tensor.data = view.data;
    tensor.dtype = view.dtype;
    strides.back() = view.strides;
  };
  for (const TensorView& view : step.inputs) add(view);
  for (const TensorView& view : step.outputs) add(view);
  bound.rows = make_rows(shape, mask_of(axes, shape.size()), strides, bound.tensors);
  return bound;
}

std::size_t position_of_name(const Step& step, const char* attribute,
                             std::span<const char* const> names) {
  const std::string name = step.attributes.get_string(attribute, "");
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw Error(ErrorCode::kModelInvalid, "step '" + step.name + "' wants the " + attribute + " '" +
                                              name +
                                              "', which this version does not have; rebuild the "
                                              "plan");
  }
  return static_cast<std::size_t>(found - names.begin());
}

Operand broadcast_to(Operand operand, const Shape& shape) {
  if (operand.is_absent()) return operand;
  operand.strides = compiler::broadcast_strides(operand.shape, operand.strides, shape);
  operand.shape = shape;
  return operand;
}

model::Ints axes_from(std::int64_t axis, int rank) {
  model::Ints axes;
  for (std::int64_t at = model::wrap_axis(axis, rank); at < rank; ++at) axes.push_back(at);
  return axes;
}

}  // namespace peregrine::cuda
