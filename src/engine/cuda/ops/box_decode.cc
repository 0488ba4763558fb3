// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/box_decode.h"

#include <fmt/format.h>

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/lowering.h"

namespace peregrine::cuda {
namespace {

AnchorTensor anchor_tensor(const TensorView& view) {
  if (!view.data) return {};
  return {view.as<float>(), view.strides[0], view.strides[1], view.strides[2]};
}

// Any strides, but FP32.
compiler::Operand read_float(Lowering& to, const model::Value* value) {
  compiler::Operand operand = to.read(value);
  if (operand.is_absent() || operand.dtype == DType::kFloat32) return operand;
  return to.copied(operand, DType::kFloat32, packed_strides(operand.shape));
}

}  // namespace

void lower_box_decode(Lowering& to, const model::Node& node) {
  if (node.input(0)->shape[0] > 65535) Lowering::refuse(node, "its batch is above 65,535");
  if (node.input(3)->shape[0] > kMostBoxBins) {
    Lowering::refuse(node, fmt::format("its distances have more than {} bins", kMostBoxBins));
  }
  compiler::Step step = to.step("box_decode", node);
  step.attributes = node.attributes;
  for (int i = 0; i < 5; ++i) {
    const bool constant = i > 0 && i < 4;
    step.inputs.push_back(constant ? to.read_packed(node.input(i), DType::kFloat32)
                                   : read_float(to, node.input(i)));
  }
  step.outputs = {to.write(node.output())};
  to.emit(std::move(step));
}

void run_box_decode(const BoundStep& step) {
  const TensorView& logits = step.input(0);
  BoxDecodeParams params;
  params.logits = anchor_tensor(logits);
  params.scores = anchor_tensor(step.input(4));
  params.output = anchor_tensor(step.output());
  params.anchors = step.input(1).as<float>();
  params.strides = step.input(2).as<float>();
  params.bins = step.input(3).as<float>();
  params.batch = static_cast<int>(logits.shape[0]);
  params.anchor_count = static_cast<int>(logits.shape[2]);
  params.bin_count = static_cast<int>(logits.shape[1] / 4);
  params.class_count = step.input(4).data ? static_cast<int>(step.input(4).shape[1]) : 0;
  params.corners = step.step.attributes.get_int("corners", 0) != 0;
  launch_box_decode(params, step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
