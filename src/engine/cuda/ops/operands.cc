// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/operands.h"

#include <cstdint>

#include "compiler/rewrite.h"
#include "compiler/strided.h"
#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/loop_nest.h"
#include "engine/cuda/kernels/pack.h"
#include "model/half.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;

Operand as_picture(Operand operand) {
  if (operand.rank() != 3) return operand;
  operand.shape.insert(operand.shape.begin() + 2, 1);
  operand.strides.insert(operand.strides.begin() + 2, 0);
  return operand;
}

Operand rows_as_pixels(const Operand& operand) {
  Operand pixels = operand;
  const std::int64_t width = operand.shape.empty() ? 1 : operand.shape.back();
  const std::int64_t rows = width == 0 ? 0 : element_count(operand.shape) / width;
  pixels.shape = {rows, width, 1, 1};
  pixels.strides = {compiler::row_stride(operand.shape, operand.strides).value(), 1, 0, 0};
  return pixels;
}

Operand permuted(const Operand& operand, const model::Ints& order) {
  Operand result = operand;
  result.shape = compiler::permuted(operand.shape, order);
  result.strides = compiler::permuted(operand.strides, order);
  result.value.clear();
  return result;
}

TensorView alignment_view(const Operand& operand) {
  TensorView view;
  if (operand.is_absent()) return view;
  // Not null: that would mean "absent".
  view.data = reinterpret_cast<void*>(static_cast<std::uintptr_t>(256 + operand.offset));
  view.dtype = operand.dtype;
  view.shape = operand.shape;
  view.strides = operand.strides;
  return view;
}

bool is_aligned_half(const Operand& operand, std::size_t contiguous) {
  if (operand.dtype != DType::kFloat16 || operand.offset % 16 != 0) return false;
  for (std::size_t i = 0; i < operand.shape.size(); ++i) {
    const std::int64_t stride = operand.shape[i] == 1 ? 0 : operand.strides[i];
    if (i == contiguous ? stride > 1 || stride < 0 : stride % 8 != 0) return false;
  }
  return true;
}

Operand half_weight(Lowering& to, std::span<const float> values, const Shape& shape) {
  Tensor tensor(DType::kFloat16, shape);
  auto* halves = static_cast<std::uint16_t*>(tensor.data());
  for (std::size_t i = 0; i < values.size(); ++i) halves[i] = model::half_from_float(values[i]);
  return to.weight(tensor);
}

Operand float_weight(Lowering& to, std::span<const float> values, const Shape& shape) {
  return to.weight(Tensor::of<float>(values, shape));
}

Operand read_as(Lowering& to, const model::Value* value, DType dtype) {
  if (!value) return {};
  if (value->is_constant() && (dtype == DType::kFloat16 || dtype == DType::kFloat32)) {
    const std::vector<float> values = compiler::floats_of(value);
    return dtype == DType::kFloat16 ? half_weight(to, values, value->shape)
                                    : float_weight(to, values, value->shape);
  }
  const Operand operand = to.read(value);
  if (operand.dtype == dtype) return operand;
  return to.copied(operand, dtype, packed_strides(operand.shape));
}

Operand pack_rows(Lowering& to, const model::Node& node, const Operand& from, int row_axes,
                  std::int64_t padded) {
  const auto split = static_cast<std::size_t>(row_axes);
  Operand source = from;
  const std::vector<Shape> strides{from.strides};
  const LoopNest rows_nest = merge_dimensions(std::span(from.shape).first(split), strides, true);
  if (rows_nest.rank() > PackParams::kMaxRank) {  // many row axes in an order of their own
    source = to.copied(from, from.dtype, packed_strides(from.shape));
  }
  try {  // refusals belong to the build
    make_pack(source.shape, source.strides, row_axes, padded);
  } catch (const Error& error) {
    Lowering::refuse(node, error.what());
  }
  const std::int64_t rows = element_count(std::span(from.shape).first(split));
  Operand packed = to.scratch(DType::kFloat16, {rows, padded});
  Step step = to.step("pack", node);
  step.epilogue = {};
  step.attributes.set("row_axes", std::int64_t{row_axes});
  step.inputs = {source};
  step.outputs = {packed};
  to.emit(std::move(step));
  return packed;
}

bool is_wanted(const model::Node& node, std::size_t index) {
  const model::Value* value = index < node.outputs().size() ? node.outputs()[index] : nullptr;
  return value && (!value->readers().empty() || value->is_graph_output());
}

void run_pack(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& to = step.output();
  PackParams params =
      make_pack(from.shape, from.strides,
                static_cast<int>(step.step.attributes.get_int("row_axes", 1)), to.shape[1]);
  params.input = from.data;
  params.input_half = from.dtype == DType::kFloat16;
  params.output = to.data;
  launch_pack(params, step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
