// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/top_k.h"

namespace peregrine::cuda {

/// Fills `sorted` and `selects` from `length` and `k`.
void plan_top_k(TopKParams& params);

/// inputs: data; outputs: values and indices (one of them may be absent), scratch where needed.
TopKParams top_k_params(const BoundStep& step);
CountedTopKParams counted_top_k_params(const BoundStep& step);

}  // namespace peregrine::cuda
