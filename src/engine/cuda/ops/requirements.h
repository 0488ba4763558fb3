// SPDX-License-Identifier: Apache-2.0
// What several lowerings and parameters ask of an operand before they use it.
#pragma once

#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// Refuses what the kernels cannot walk: more than eight dimensions, 2^31 elements or more.
void require_walkable(const model::Node& node, const compiler::Operand& operand);
/// Refuses anything but float32 and float16; `what` names the operand in the message.
void require_float(const model::Node& node, const compiler::Operand& operand, const char* what);
/// Refuses anything but int64 and int32.
void require_index(const model::Node& node, const compiler::Operand& operand);

/// Throws `Error(kModelUnsupported)` for a stride that does not fit.
std::int32_t checked_int32(std::int64_t value);

}  // namespace peregrine::cuda
