// SPDX-License-Identifier: Apache-2.0
// Ops that only rearrange. Most never get here: they are strides (layout.h).
#include "compiler/strided.h"
#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/copy.h"
#include "engine/cuda/lowering.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Node;
using model::Op;

void lower_view(Lowering& to, const Node& node) {
  if (node.op() == Op::kSlice) Lowering::refuse(node, "its ranges depend on the inputs' contents");
  if (node.op() == Op::kDropout) Lowering::refuse(node, "the mask of a Dropout is for training");
  // A reshape of a tensor whose axes do not lie in order: put them in order, at once in the
  // result's own place where that is also a tensor of the input's shape.
  const Operand from = to.read(node.input(0));
  Operand place = to.write(node.output());
  const auto strides = compiler::reshape_strides(place.shape, place.strides, from.shape);
  if (!strides) place = to.write_packed(node.output());
  place.strides = strides ? *strides : packed_strides(from.shape);
  place.shape = from.shape;
  Step step = to.step("copy", node);
  step.inputs = {from};
  step.outputs = {place};
  to.emit(std::move(step));
}

void lower_concat(Lowering& to, const Node& node) {
  const Operand whole = to.write(node.output());
  const auto axis = static_cast<std::size_t>(
      model::wrap_axis(node.attributes.get_int("axis", 0), node.output()->rank()));
  const auto element = static_cast<std::int64_t>(size_of(whole.dtype));
  std::int64_t position = 0;
  for (const model::Value* input : node.inputs()) {
    const Operand from = to.read(input);
    Operand part = whole;
    part.shape = input->shape;
    part.value.clear();
    part.offset += position * whole.strides[axis] * element;
    position += input->shape[axis];
    const bool in_place = from.region == part.region && from.index == part.index &&
                          from.offset == part.offset &&
                          compiler::same_strides(part.shape, from.strides, part.strides);
    if (in_place || element_count(input->shape) == 0) continue;
    Step step = to.step("copy", node);
    step.inputs = {from};
    step.outputs = {part};
    to.emit(std::move(step));
  }
}

void lower_folded(Lowering&, const Node& node) {
  Lowering::refuse(node,
                   "its result depends on the inputs' contents, so no shape behind it is known");
}

void lower_unsupported(Lowering&, const Node& node) {
  Lowering::refuse(node, "there is no kernel for this op");
}

void run_copy(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& to = step.output();
  CopyParams params = make_copy(to.shape, from.strides, to.strides);
  params.input = from.data;
  params.output = to.data;
  launch_copy(params, from.dtype, to.dtype, step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
