// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/pack.h"

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/loop_nest.h"
#include "engine/cuda/kernels/pack.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;

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
