// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/conv.h"

namespace peregrine::bench {

/// The FP16 convolution that every tactic is compared with: a thread an output element, plain FP32
/// sums. Reads `source[0]` as it is stored; knows no groups, residual or gaps between images.
void launch_conv_reference(const cuda::ConvParams& params, cudaStream_t stream);

}  // namespace peregrine::bench
