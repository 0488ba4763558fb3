// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_tile.cuh"
#include "engine/cuda/kernels/conv_tiles.h"

namespace peregrine::cuda {

// For few pixels: many small blocks, whose warps share K.
// M, N, K, warps along M, along N, sharing K, stages.
std::vector<ConvTile> small_conv_tiles() {
  return {
      make_conv_tile<TileShape<16, 16, 64, 1, 1, 4, 6>>("conv 16x16x64"),
      make_conv_tile<TileShape<16, 16, 128, 1, 1, 8, 4>>("conv 16x16x128 w8"),
      make_conv_tile<TileShape<16, 16, 256, 1, 1, 16, 3>>("conv 16x16x256 w16"),
      make_conv_tile<TileShape<16, 32, 128, 1, 1, 8, 4>>("conv 16x32x128 w8"),
      make_conv_tile<TileShape<16, 32, 256, 1, 1, 16, 3>>("conv 16x32x256 w16"),
      make_conv_tile<TileShape<16, 64, 64, 1, 2, 2, 5>>("conv 16x64x64"),
      make_conv_tile<TileShape<16, 64, 128, 1, 2, 4, 4>>("conv 16x64x128 w8"),
      make_conv_tile<TileShape<32, 16, 64, 1, 1, 4, 6>>("conv 32x16x64"),
      make_conv_tile<TileShape<32, 32, 64, 2, 1, 2, 5>>("conv 32x32x64"),
      make_conv_tile<TileShape<32, 32, 128, 2, 1, 4, 4>>("conv 32x32x128 w8"),
  };
}

}  // namespace peregrine::cuda
