// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/selection.h"

namespace peregrine::cuda {

/// inputs: data; outputs: positions.
NonZeroParams non_zero_params(const BoundStep& step);
/// inputs: boxes, scores, marks (may be absent); outputs: counts, selected, numbers, kept (see
/// SuppressParams).
SuppressParams suppress_params(const BoundStep& step);
/// inputs: counts, selected; outputs: rows of batch, class and box.
SuppressedRowsParams suppressed_rows_params(const BoundStep& step);

}  // namespace peregrine::cuda
