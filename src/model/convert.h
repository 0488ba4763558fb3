// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/tensor.h"

namespace peregrine::model {

/// The tensor in another dtype, with ONNX Cast's rules: floats to integers truncate towards zero
/// (out of range: wraps at 64 bits, NaN gives 0), to bool "is not zero", to narrower floats nearest
/// even (out of range: infinite), integers wrap. `saturate`: out of range clamps, as the
/// quantizing ops need.
Tensor convert(const Tensor& tensor, DType dtype, bool saturate = false);

bool is_float(DType dtype);

}  // namespace peregrine::model
