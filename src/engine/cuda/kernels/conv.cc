// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv.h"

#include <cstdint>
#include <vector>

#include "engine/cuda/kernels/conv_tiles.h"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

bool aligned_16(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0; }

bool source_fits(const ConvSource& source, int batch) {
  const std::int64_t elements =
      std::int64_t{batch} * source.height * source.width * source.pixel_stride;
  return source.channels % 8 == 0 && source.pixel_stride % 8 == 0 && aligned_16(source.data) &&
         elements < (std::int64_t{1} << 31);
}

std::vector<ConvTile> make_table() {
  std::vector<ConvTile> table = small_conv_tiles();
  for (auto* more : {medium_conv_tiles, large_conv_tiles, warpgroup_conv_tiles}) {
    const std::vector<ConvTile> tiles = more();
    table.insert(table.end(), tiles.begin(), tiles.end());
  }
  return table;
}

}  // namespace

std::span<const ConvTile> conv_tiles() {
  static const std::vector<ConvTile> table = make_table();
  return table;
}

bool conv_stores_vectors(const ConvParams& p) {
  return p.output_channel_stride == 1 && p.out_channels % 8 == 0 && p.output_stride % 8 == 0 &&
         p.output_image_stride % 8 == 0 && p.block_channels % 8 == 0 &&
         p.output_row_stride % 8 == 0 && aligned_16(p.output) && aligned_16(p.bias) &&
         (!p.residual || (p.residual_stride % 8 == 0 && aligned_16(p.residual)));
}

bool conv_tile_supports(const ConvParams& p) {
  if (p.in_channels % 8 != 0 || p.groups > 65535) return false;
  if (p.block_channels != 0 && (!conv_stores_vectors(p) || p.groups != 1 || p.residual))
    return false;
  if (!aligned_16(p.weight) || !source_fits(p.source[0], p.batch)) return false;
  return p.source[1].channels == 0 || source_fits(p.source[1], p.batch);
}

void launch_conv_tile(const ConvTile& tile, ConvParams params, int splits, bool overlapped,
                      cudaStream_t stream) {
  params.vector_store = conv_stores_vectors(params);
  params.plain_source = params.source[1].channels == 0 && params.source[0].upsample_shift == 0;
  params.steps_per_split = ceil_div(ceil_div(params.reduction(), tile.k), splits);
  const int chunks_per_tap = params.in_channels / 8;
  const int step_taps = tile.k / 8 / chunks_per_tap;
  params.step_chunks = tile.k / 8 % chunks_per_tap;
  params.step_x = step_taps % params.kernel_width;
  params.step_y = step_taps / params.kernel_width;
  params.by_image_pixels = FastDivisor(params.out_height * params.out_width);
  params.by_out_width = FastDivisor(params.out_width);
  params.by_n_tiles = FastDivisor(ceil_div(params.out_channels, tile.n));
  params.by_chunks_per_tap = FastDivisor(chunks_per_tap);
  params.by_kernel_width = FastDivisor(params.kernel_width);
  if (params.block_channels != 0) {
    params.by_block_channels = FastDivisor(params.block_channels);
    params.by_block_width = FastDivisor(params.block_width);
  }
  // Above 48 KB a kernel must be told; the call is cheap and legal during capture.
  CUDA_CHECK(cudaFuncSetAttribute(tile.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  tile.shared_bytes));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(params.pixels(), tile.m) *
                                          ceil_div(params.out_channels, tile.n)),
                    static_cast<unsigned>(params.groups), static_cast<unsigned>(splits));
  shape.block = dim3(static_cast<unsigned>(tile.threads));
  shape.shared_bytes = tile.shared_bytes;
  shape.cluster_depth = splits;
  shape.overlapped = overlapped;
  launch(tile.kernel, shape, params, stream);
}

}  // namespace peregrine::cuda
