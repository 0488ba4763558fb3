// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/quantize.h"

namespace peregrine::cuda {

/// inputs: x, scales, zero points (float32, one for all or one a slice of "axis").
QuantizeParams quantize_params(const BoundStep& step);

}  // namespace peregrine::cuda
