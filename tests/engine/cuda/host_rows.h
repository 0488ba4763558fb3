// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/rows.h"

namespace peregrine::testing {

/// What the kernels on rows answer, in double and one row after another; operands are host memory.
void reduce_on_host(const cuda::ReduceParams& params);
void normalize_on_host(const cuda::NormalizeParams& params);
void cumulative_sum_on_host(const cuda::CumulativeSumParams& params);
void local_response_on_host(const cuda::LocalResponseParams& params);

}  // namespace peregrine::testing
