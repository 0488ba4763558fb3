// SPDX-License-Identifier: Apache-2.0
// From steps to the parameters of the kernels that move elements: the run functions launch these,
// and CPU tests loop over them.
#pragma once

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/gather.h"
#include "engine/cuda/kernels/rearrange.h"
#include "engine/cuda/kernels/scatter.h"

namespace peregrine::cuda {

/// inputs: data, indices; outputs: result.
GatherParams gather_params(const BoundStep& step);
GatherParams gather_elements_params(const BoundStep& step);
GatherParams gather_nd_params(const BoundStep& step);

/// inputs: indices, updates; outputs: the data to change.
ScatterParams scatter_elements_params(const BoundStep& step);
ScatterParams scatter_nd_params(const BoundStep& step);

/// inputs: data, tables; outputs: result.
RemapParams remap_params(const BoundStep& step);
TriluParams trilu_params(const BoundStep& step);
/// inputs: data, lengths.
ReverseParams reverse_params(const BoundStep& step);
/// inputs: indices, values (off, on).
OneHotParams one_hot_params(const BoundStep& step);

}  // namespace peregrine::cuda
