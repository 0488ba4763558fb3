// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/requirements.h"

#include <fmt/format.h>

#include "engine/cuda/kernels/walk.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

using compiler::Operand;
using model::Node;

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
  if (operand.dtype == DType::kFloat32 || operand.dtype == DType::kFloat16) return;
  Lowering::refuse(node, fmt::format("its {} is {} (supported: float32, float16)", what,
                                     to_string(operand.dtype)));
}

void require_index(const Node& node, const Operand& operand) {
  if (operand.dtype == DType::kInt64 || operand.dtype == DType::kInt32) return;
  Lowering::refuse(
      node, fmt::format("its indices are {} (supported: int64, int32)", to_string(operand.dtype)));
}

std::int32_t checked_int32(std::int64_t value) {
  if (value < INT32_MIN || value > INT32_MAX) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("a stride of {} elements is beyond the CUDA engine", value));
  }
  return static_cast<std::int32_t>(value);
}

}  // namespace peregrine::cuda
