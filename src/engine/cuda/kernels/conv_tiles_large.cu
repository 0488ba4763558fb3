// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_tile.cuh"
#include "engine/cuda/kernels/conv_tiles.h"

namespace peregrine::cuda {

// For large layers and batches, bound by the tensor cores.
// M, N, K, warps along M, along N, sharing K, stages.
std::vector<ConvTile> large_conv_tiles() {
  return {
      make_conv_tile<TileShape<128, 64, 32, 4, 1, 1, 4>>("conv 128x64x32"),
      make_conv_tile<TileShape<128, 64, 64, 4, 2, 1, 3>>("conv 128x64x64"),
      make_conv_tile<TileShape<128, 128, 32, 2, 2, 1, 4>>("conv 128x128x32"),
      make_conv_tile<TileShape<128, 128, 64, 2, 4, 1, 3>>("conv 128x128x64"),
      make_conv_tile<TileShape<256, 64, 32, 4, 1, 1, 4>>("conv 256x64x32"),
  };
}

}  // namespace peregrine::cuda
