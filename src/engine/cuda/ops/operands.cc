// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/operands.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "compiler/rewrite.h"
#include "compiler/strided.h"
#include "engine/cuda/kernels/walk.h"
#include "model/half.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Node;

namespace {

bool converts(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat16; }

void check_conversion(const Node& node, const model::Value* value, DType from, DType dtype) {
  if (from == dtype || (converts(from) && converts(dtype))) return;
  Lowering::refuse(node, fmt::format("'{}' is {}, and {} is needed", value->name, to_string(from),
                                     to_string(dtype)));
}

}  // namespace

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

Operand sliced(Operand operand, std::size_t axis, std::int64_t start, std::int64_t step,
               std::int64_t count) {
  operand.offset +=
      start * operand.strides[axis] * static_cast<std::int64_t>(size_of(operand.dtype));
  operand.strides[axis] *= step;
  operand.shape[axis] = count;
  operand.value.clear();
  return operand;
}

bool is_empty(const Operand& operand) {
  return std::find(operand.shape.begin(), operand.shape.end(), 0) != operand.shape.end();
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

bool is_tile_picture(const Operand& x) {
  const auto stride = compiler::pixel_stride(x.shape, x.strides);
  return x.rank() == 4 && x.dtype == DType::kFloat16 && stride && *stride % 8 == 0 &&
         x.offset % 16 == 0 && x.shape[1] % 8 == 0;
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

Operand read_as(Lowering& to, const Node& node, const model::Value* value, DType dtype) {
  if (!value) return {};
  const DType stored = to.dtype(value);
  if (stored == dtype) return to.read(value);
  check_conversion(node, value, stored, dtype);
  if (value->is_constant()) {
    const std::vector<float> values = compiler::floats_of(value);
    return dtype == DType::kFloat16 ? half_weight(to, values, value->shape)
                                    : float_weight(to, values, value->shape);
  }
  const Operand operand = to.read(value);
  return to.copied(operand, dtype,
                   compiler::packed_like(operand.shape, operand.shape, operand.strides));
}

Operand read_packed_as(Lowering& to, const Node& node, const model::Value* value, DType dtype) {
  if (!value) return {};
  check_conversion(node, value, to.dtype(value), dtype);
  return to.read_packed(value, dtype);
}

void emit_copy(Lowering& to, const Node& node, Operand from, Operand place) {
  if (is_empty(place)) return;
  const std::vector<Shape> strides{place.strides, from.strides};
  const LoopNest nest = merge_dimensions(place.shape, strides);
  if (!nest.fits_int()) {
    Lowering::refuse(node, fmt::format("{} spans 2^31 elements or more; use a smaller batch",
                                       to_string(place.shape)));
  }
  if (nest.rank() > Walk<2>::kMaxRank) {
    // One step for each position of the shortest axis.
    std::size_t axis = place.shape.size();
    for (std::size_t i = 0; i < place.shape.size(); ++i) {
      if (place.shape[i] == 1) continue;
      if (axis == place.shape.size() || place.shape[i] < place.shape[axis]) axis = i;
    }
    for (std::int64_t i = 0; i < place.shape[axis]; ++i) {
      emit_copy(to, node, sliced(from, axis, i, 1, 1), sliced(place, axis, i, 1, 1));
    }
    return;
  }
  Step step = to.step("copy", node);
  step.inputs = {std::move(from)};
  step.outputs = {std::move(place)};
  to.emit(std::move(step));
}

void spread(const model::Ints& values, int (&to)[3]) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    to[3 - values.size() + i] = static_cast<int>(values[i]);
  }
}

void spread_strides(const Shape& strides, std::int64_t (&to)[5]) {
  to[0] = strides[0];
  to[1] = strides[1];
  std::copy(strides.begin() + 2, strides.end(), to + 7 - strides.size());
}

bool is_wanted(const model::Node& node, std::size_t index) {
  const model::Value* value = index < node.outputs().size() ? node.outputs()[index] : nullptr;
  return value && (!value->readers().empty() || value->is_graph_output());
}

}  // namespace peregrine::cuda
