// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/copy.h"

namespace peregrine::cuda {
namespace {

constexpr int kLeastTiled = 8;  // shorter sides leave most of a square empty

int tiles_of(int extent) { return (extent + TiledCopyParams::kTile - 1) / TiledCopyParams::kTile; }

}  // namespace

CopyParams make_copy(const Shape& shape, const Shape& input_strides, const Shape& output_strides) {
  CopyParams params;
  params.walk = make_walk(shape, {output_strides, input_strides});
  return params;
}

int TiledCopyParams::blocks() const {
  return rest.count * static_cast<int>(tiles_along_output.divisor * tiles_along_input.divisor);
}

std::optional<TiledCopyParams> make_tiled_copy(const CopyParams& params) {
  const Walk<2>& walk = params.walk;
  if (walk.rank < 2 || walk.stride[0][0] != 1) return std::nullopt;
  int other = 1;
  while (other < walk.rank && walk.stride[other][1] != 1) ++other;
  if (other == walk.rank) return std::nullopt;
  TiledCopyParams tiled;
  tiled.input = params.input;
  tiled.output = params.output;
  tiled.along_output = static_cast<std::int32_t>(walk.extent[0].divisor);
  tiled.along_input = static_cast<std::int32_t>(walk.extent[other].divisor);
  tiled.input_stride = walk.stride[0][1];
  tiled.output_stride = walk.stride[other][0];
  if (tiled.along_output < kLeastTiled || tiled.along_input < kLeastTiled) return std::nullopt;
  tiled.tiles_along_output = FastDivisor(tiles_of(tiled.along_output));
  tiled.tiles_along_input = FastDivisor(tiles_of(tiled.along_input));
  for (int d = 1; d < walk.rank; ++d) {
    if (d == other) continue;
    Walk<2>& rest = tiled.rest;
    rest.extent[rest.rank] = walk.extent[d];
    for (int s = 0; s < 2; ++s) rest.stride[rest.rank][s] = walk.stride[d][s];
    rest.count *= static_cast<std::int32_t>(walk.extent[d].divisor);
    ++rest.rank;
  }
  return tiled;
}

}  // namespace peregrine::cuda
