// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/cuda/kernels/conv.h"

// The implicit-GEMM kernel's tile shapes, in files of a few each: they are what takes long to
// compile.
namespace peregrine::cuda {

std::vector<ConvTile> small_conv_tiles();
std::vector<ConvTile> medium_conv_tiles();
std::vector<ConvTile> large_conv_tiles();
std::vector<ConvTile> warpgroup_conv_tiles();

}  // namespace peregrine::cuda
