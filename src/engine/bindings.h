// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "peregrine/engine.h"

namespace peregrine::engine {

/// Checks what a caller hands to `ExecutionContext::enqueue` before anything is dispatched: count,
/// dtype, shape (`[batch, ...]` of `specs`), device, packed strides, a pointer. `side` is "input"
/// or "output". Throws `Error(kInvalidShape)` that names model and tensor, what was given and what
/// is wanted. Allocates only to report.
void check_bindings(const std::string& model, const char* side,
                    const std::vector<TensorSpec>& specs, std::span<const TensorView> views,
                    int batch, int max_batch, Device device = Device::cpu());

}  // namespace peregrine::engine
