// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// Emits the step that packs `from` (its first `row_axes` axes count rows) into [rows, padded]
/// FP16, zeros behind each row (kernels/pack.h), and returns that.
compiler::Operand pack_rows(Lowering& to, const model::Node& node, const compiler::Operand& from,
                            int row_axes, std::int64_t padded);

}  // namespace peregrine::cuda
