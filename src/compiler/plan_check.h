// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "compiler/plan.h"

namespace peregrine::compiler {

/// Whether a plan, wherever it came from, stays within its memory: every dtype, rank, stride and
/// region number in range, every element that an operand can touch inside its region, nothing
/// written to weights or inputs, programs by ascending batch. `plan.weights` is not looked at, its
/// size is `weights_bytes`. Throws `MalformedPlan` (plan_codec.h) naming program and step. Whether
/// this build has the kernels is the engine's to say.
void check_plan(const Plan& plan, std::size_t weights_bytes);

}  // namespace peregrine::compiler
