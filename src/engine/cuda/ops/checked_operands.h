// SPDX-License-Identifier: Apache-2.0
// What several lowerings ask of their operands.
#pragma once

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/walk.h"
#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// The value as it lies when it is stored in `dtype`, else a converted copy. Refuses dtypes that do
/// not convert (all but float32 and float16).
compiler::Operand read_as(Lowering& to, const model::Node& node, const model::Value* value,
                          DType dtype);
/// The same, row-major without gaps.
compiler::Operand read_packed_as(Lowering& to, const model::Node& node, const model::Value* value,
                                 DType dtype);
/// A copy step between operands of one shape; several where the strides need more dimensions than
/// the kernel has.
void emit_copy(Lowering& to, const model::Node& node, compiler::Operand from,
               compiler::Operand place);
/// The operand's part from `start`, `count` positions `step` apart on `axis`.
compiler::Operand sliced(compiler::Operand operand, std::size_t axis, std::int64_t start,
                         std::int64_t step, std::int64_t count);

/// Refuses what the kernels cannot walk: more than eight dimensions, 2^31 elements or more.
void require_walkable(const model::Node& node, const compiler::Operand& operand);
/// Refuses anything but float32 and float16; `what` names the operand in the message.
void require_float(const model::Node& node, const compiler::Operand& operand, const char* what);
/// Refuses anything but int64 and int32.
void require_index(const model::Node& node, const compiler::Operand& operand);

/// Whether a step with such an operand would move nothing.
bool is_empty(const compiler::Operand& operand);

std::int32_t checked_int32(std::int64_t value);

}  // namespace peregrine::cuda
