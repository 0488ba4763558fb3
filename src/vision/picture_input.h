// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/engine.h"

namespace peregrine::vision {

/// Whether an input takes pictures as pixels of four halves, [batch, height, width, 4] of float16
/// with a fourth channel that stays 0: what the CUDA engine's first layer reads fastest.
bool takes_half_pixels(const TensorSpec& input);

/// The input as models have it: [batch, 3, height, width].
TensorSpec planar_spec(const TensorSpec& input);
/// The three colours of such a tensor as a strided view [batch, 3, height, width]; another one as
/// it is.
TensorView planar_view(const TensorView& input);

}  // namespace peregrine::vision
