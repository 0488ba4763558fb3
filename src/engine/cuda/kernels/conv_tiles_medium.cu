// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_tile.cuh"
#include "engine/cuda/kernels/conv_tiles.h"

namespace peregrine::cuda {

// For the middle ground, and few channels over many pixels.
// M, N, K, warps along M, along N, sharing K, stages.
std::vector<ConvTile> medium_conv_tiles() {
  return {
      make_conv_tile<TileShape<32, 64, 64, 2, 2, 1, 4>>("conv 32x64x64"),
      make_conv_tile<TileShape<32, 64, 64, 2, 2, 2, 4>>("conv 32x64x64 w8"),
      make_conv_tile<TileShape<64, 16, 32, 4, 1, 1, 5>>("conv 64x16x32"),
      make_conv_tile<TileShape<64, 32, 64, 4, 1, 1, 4>>("conv 64x32x64"),
      make_conv_tile<TileShape<64, 64, 64, 2, 2, 1, 4>>("conv 64x64x64"),
      make_conv_tile<TileShape<64, 64, 64, 2, 2, 2, 4>>("conv 64x64x64 w8"),
      // Eighty channels: one for each class of COCO, all through the heads of small detectors.
      make_conv_tile<TileShape<64, 80, 64, 4, 1, 1, 3>>("conv 64x80x64"),
      make_conv_tile<TileShape<128, 80, 32, 4, 1, 1, 4>>("conv 128x80x32"),
      make_conv_tile<TileShape<128, 16, 32, 4, 1, 1, 4>>("conv 128x16x32"),
      make_conv_tile<TileShape<128, 32, 32, 4, 1, 1, 4>>("conv 128x32x32"),
  };
}

}  // namespace peregrine::cuda
