// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/checked_operands.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/strided.h"
#include "engine/cuda/kernels/walk.h"
#include "peregrine/error.h"

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

Operand read_as(Lowering& to, const Node& node, const model::Value* value, DType dtype) {
  if (!value) return {};
  Operand operand = to.read(value);
  if (operand.dtype == dtype) return operand;
  check_conversion(node, value, operand.dtype, dtype);
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

Operand sliced(Operand operand, std::size_t axis, std::int64_t start, std::int64_t step,
               std::int64_t count) {
  operand.offset +=
      start * operand.strides[axis] * static_cast<std::int64_t>(size_of(operand.dtype));
  operand.strides[axis] *= step;
  operand.shape[axis] = count;
  operand.value.clear();
  return operand;
}

void require_walkable(const Node& node, const Operand& operand) {
  // Unmerged: a kernel walks operands of other strides beside this one.
  LoopNest nest;
  nest.extents = operand.shape;
  nest.strides = {operand.strides};
  try {
    check_walkable(nest, operand.shape, Walk<1>::kMaxRank);
  } catch (const Error& error) {
    Lowering::refuse(node, error.what());
  }
}

void require_float(const Node& node, const Operand& operand, const char* what) {
  if (converts(operand.dtype)) return;
  Lowering::refuse(node, fmt::format("its {} is {} (supported: float32, float16)", what,
                                     to_string(operand.dtype)));
}

void require_index(const Node& node, const Operand& operand) {
  if (operand.dtype == DType::kInt64 || operand.dtype == DType::kInt32) return;
  Lowering::refuse(
      node, fmt::format("its indices are {} (supported: int64, int32)", to_string(operand.dtype)));
}

bool is_empty(const Operand& operand) {
  return std::find(operand.shape.begin(), operand.shape.end(), 0) != operand.shape.end();
}

std::int32_t checked_int32(std::int64_t value) {
  if (value < INT32_MIN || value > INT32_MAX) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("a stride of {} elements is beyond the CUDA engine", value));
  }
  return static_cast<std::int32_t>(value);
}

}  // namespace peregrine::cuda
