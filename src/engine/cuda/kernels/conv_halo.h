// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/cuda/kernels/conv.h"

namespace peregrine::cuda {

/// What the halo kernel takes: the convolution, and its division into tiles of output pixels.
struct ConvHaloParams {
  ConvParams conv;
  int tiles = 0;  ///< of all images
  FastDivisor by_tiles_x, by_tiles_y;
};

/// One compiled shape of the halo kernel: 3x3 convolutions of few channels, stride 1 or 2, FP16. A
/// block brings all input pixels of a tile of output pixels to shared memory once, where the
/// implicit GEMM fetches each of them for every tap; its weights stay there from tile to tile.
struct ConvHalo {
  std::string name;
  int in_channels, n;  ///< `n` output channels at a time
  int stride;
  int tile_height, tile_width;  ///< output pixels
  int tiles_at_once;            ///< in a block
  int threads;
  int shared_bytes;
  bool needs_sm90a;
  const void* kernel;
};

/// All of them; the table is fixed at build time.
std::span<const ConvHalo> conv_halos();

/// Whether that kernel computes it: a single source that is not enlarged, one group, all channels
/// of a pixel side by side and in eights, an FP16 result.
bool conv_halo_supports(const ConvHalo& halo, const ConvParams& params);

/// Output tiles of the whole batch.
int conv_halo_tiles(const ConvHalo& halo, const ConvParams& params);

void launch_conv_halo(const ConvHalo& halo, const ConvParams& params, bool overlapped,
                      cudaStream_t stream);

// Parts of the table, in files of their own.
std::vector<ConvHalo> warp_conv_halos();
std::vector<ConvHalo> warpgroup_conv_halos();

}  // namespace peregrine::cuda
