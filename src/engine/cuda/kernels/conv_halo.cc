// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_halo.h"

#include <algorithm>

#include "engine/cuda/current_device.h"
#include "engine/cuda/kernels/launch.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

int blocks_at_once(const ConvHalo& halo) {
  int resident = 0;
  CUDA_CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &resident, halo.kernel, halo.threads, static_cast<std::size_t>(halo.shared_bytes)));
  return current_device().multiprocessors * std::max(1, resident);
}

}  // namespace

std::span<const ConvHalo> conv_halos() {
  static const std::vector<ConvHalo> table = [] {
    std::vector<ConvHalo> all = warp_conv_halos();
    for (const ConvHalo& halo : warpgroup_conv_halos()) all.push_back(halo);
    return all;
  }();
  return table;
}

bool conv_halo_supports(const ConvHalo& halo, const ConvParams& p) {
  return conv_tile_supports(p) && conv_stores_vectors(p) && p.block_channels == 0 &&
         p.groups == 1 && p.source[1].channels == 0 && p.source[0].upsample_shift == 0 &&
         p.in_channels == halo.in_channels && p.kernel_height == 3 && p.kernel_width == 3 &&
         p.stride_y == halo.stride && p.stride_x == halo.stride && p.dilation_y == 1 &&
         p.dilation_x == 1 && !p.output_fp32;
}

int conv_halo_tiles(const ConvHalo& halo, const ConvParams& p) {
  return p.batch * ceil_div(p.out_height, halo.tile_height) *
         ceil_div(p.out_width, halo.tile_width);
}

void launch_conv_halo(const ConvHalo& halo, const ConvParams& p, bool overlapped,
                      cudaStream_t stream) {
  if (!conv_halo_supports(halo, p)) {
    throw Error(ErrorCode::kPlanMismatch,
                "the plan names the kernel '" + halo.name +
                    "' for a convolution that it does not compute; build it again");
  }
  ConvHaloParams params;
  params.conv = p;
  params.tiles = conv_halo_tiles(halo, p);
  params.by_tiles_x = FastDivisor(ceil_div(p.out_width, halo.tile_width));
  params.by_tiles_y = FastDivisor(ceil_div(p.out_height, halo.tile_height));
  CUDA_CHECK(cudaFuncSetAttribute(halo.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  halo.shared_bytes));
  LaunchShape shape;
  const int columns = ceil_div(p.out_channels, halo.n);
  const int blocks = std::min(ceil_div(params.tiles, halo.tiles_at_once),
                              std::max(1, blocks_at_once(halo) / columns));
  shape.grid = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(columns));
  shape.block = dim3(static_cast<unsigned>(halo.threads));
  shape.shared_bytes = halo.shared_bytes;
  shape.overlapped = overlapped;
  launch(halo.kernel, shape, params, stream);
}

}  // namespace peregrine::cuda
