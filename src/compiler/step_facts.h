// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "compiler/program.h"

namespace peregrine::compiler {

/// What a step's answer can be relied on for: "fp16" where any of its operands is stored in 16
/// bits, "fp32" where its floats are all wider, "integer" where it has none.
const char* step_precision(const Step& step);

/// Bytes that a step reads and writes at least once: what memory bandwidth sees of it when nothing
/// stays in a cache. Repeated elements (stride 0) count once.
std::int64_t step_bytes(const Step& step);

}  // namespace peregrine::compiler
