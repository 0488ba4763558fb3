// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "core/cuda/check.h"
#include "video/orientation.h"

namespace peregrine::video {
namespace {

constexpr int kTile = 32, kRows = 8;

// Through shared memory: the source is read along its rows and the target written along its own,
// whichever way round they lie to each other.
template <typename Element>
__global__ void orient(PlaneWalk walk, bool transpose, std::uint8_t* target,
                       std::int64_t target_stride) {
  __shared__ Element tile[kTile][kTile + 1];
  const int x0 = blockIdx.x * kTile, y0 = blockIdx.y * kTile;
  for (int i = threadIdx.y; i < kTile; i += kRows) {
    const int column = transpose ? i : static_cast<int>(threadIdx.x);
    const int row = transpose ? static_cast<int>(threadIdx.x) : i;
    const int x = x0 + column, y = y0 + row;
    if (x < walk.width && y < walk.height) {
      tile[row][column] =
          *reinterpret_cast<const Element*>(walk.origin + x * walk.step_x + y * walk.step_y);
    }
  }
  __syncthreads();
  const int x = x0 + static_cast<int>(threadIdx.x);
  for (int row = threadIdx.y; row < kTile && y0 + row < walk.height; row += kRows) {
    if (x >= walk.width) continue;
    reinterpret_cast<Element*>(target + (y0 + row) * target_stride)[x] = tile[row][threadIdx.x];
  }
}

}  // namespace

void orient_plane_on_gpu(const Orientation& orientation, Plane source, int width, int height,
                         int element_bytes, std::uint8_t* target, std::int64_t target_stride,
                         void* stream) {
  const PlaneWalk walk = walk_plane(orientation, source, width, height, element_bytes);
  const dim3 blocks((walk.width + kTile - 1) / kTile, (walk.height + kTile - 1) / kTile);
  const dim3 threads(kTile, kRows);
  const auto kernel = element_bytes == 1   ? orient<std::uint8_t>
                      : element_bytes == 2 ? orient<std::uint16_t>
                                           : orient<std::uint32_t>;
  kernel<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(walk, orientation.transpose,
                                                                    target, target_stride);
  CUDA_CHECK(cudaGetLastError());
}

}  // namespace peregrine::video
