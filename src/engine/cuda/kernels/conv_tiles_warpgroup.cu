// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_tile.cuh"
#include "engine/cuda/kernels/conv_tiles.h"

namespace peregrine::cuda {

// For large layers and batches on Hopper. Warpgroups of 64 rows, N, stages.
std::vector<ConvTile> warpgroup_conv_tiles() {
  return {
      make_warpgroup_tile<1, 64, 4>("conv 64x64x64 wg"),
      make_warpgroup_tile<2, 64, 4>("conv 128x64x64 wg"),
      make_warpgroup_tile<2, 128, 3>("conv 128x128x64 wg"),
      make_warpgroup_tile<2, 256, 4>("conv 128x256x64 wg"),
  };
}

}  // namespace peregrine::cuda
