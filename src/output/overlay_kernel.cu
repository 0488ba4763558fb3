// SPDX-License-Identifier: Apache-2.0
// A thread holds two by two pixels in registers, draws everything over them and stores them once.
// A block's tile first finds the commands that reach it, so that a picture with a thousand strokes
// costs a tile no more than the few it has.
#include "core/cuda/check.h"
#include "output/overlay_kernel.h"

namespace peregrine::output {
namespace {

constexpr int kAcross = 32, kDown = 8;  // threads of a block: a warp is a row of them
constexpr int kThreads = kAcross * kDown;
constexpr int kTileWidth = 2 * kAcross, kTileHeight = 2 * kDown;

/// Planes and strides as the kernel takes them.
struct Planes {
  const std::uint8_t* luma;
  const std::uint8_t* chroma;
  std::int64_t luma_stride, chroma_stride;
};

// Of 256 commands from `first` on, those that reach the tile at (left, top), in order. All threads
// of the block must come here.
__device__ int find_commands(const BlockList& list, int first, int left, int top,
                             int (&found)[kThreads], int (&counts)[kDown]) {
  const int index = first + static_cast<int>(threadIdx.y * kAcross + threadIdx.x);
  const bool hit = index < list.command_count &&
                   reaches(list.commands[index], left, top, kTileWidth, kTileHeight);
  const unsigned hits = __ballot_sync(0xffffffffu, hit);
  if (threadIdx.x == 0) counts[threadIdx.y] = __popc(hits);
  __syncthreads();
  int before = 0, total = 0;
  for (int warp = 0; warp < kDown; ++warp) {
    if (warp < static_cast<int>(threadIdx.y)) before += counts[warp];
    total += counts[warp];
  }
  if (hit) found[before + __popc(hits & ((1u << threadIdx.x) - 1))] = index;
  __syncthreads();
  return total;
}

__device__ void load_row(const std::uint8_t* row, int x, int width, int& left, int& right) {
  if (x + 1 < width) {
    const uchar2 pair = *reinterpret_cast<const uchar2*>(row + x);
    left = pair.x;
    right = pair.y;
  } else {
    left = row[x];
  }
}

__device__ void store_row(std::uint8_t* row, int x, int width, int left, int right) {
  if (x + 1 < width) {
    *reinterpret_cast<uchar2*>(row + x) =
        make_uchar2(static_cast<unsigned char>(left), static_cast<unsigned char>(right));
  } else {
    row[x] = static_cast<std::uint8_t>(left);
  }
}

__device__ Block load(const Planes& from, int x, int y, int width, int height) {
  Block block;
  const std::uint8_t* row = from.luma + y * from.luma_stride;
  load_row(row, x, width, block.luma[0], block.luma[1]);
  if (y + 1 < height) load_row(row + from.luma_stride, x, width, block.luma[2], block.luma[3]);
  const uchar2 chroma =
      *reinterpret_cast<const uchar2*>(from.chroma + y / 2 * from.chroma_stride + x);
  block.u = chroma.x;
  block.v = chroma.y;
  return block;
}

__device__ void store(const DevicePicture& to, int x, int y, int width, int height,
                      const Block& block) {
  std::uint8_t* row = to.luma + y * to.luma_stride;
  store_row(row, x, width, block.luma[0], block.luma[1]);
  if (y + 1 < height) store_row(row + to.luma_stride, x, width, block.luma[2], block.luma[3]);
  *reinterpret_cast<uchar2*>(to.chroma + y / 2 * to.chroma_stride + x) =
      make_uchar2(static_cast<unsigned char>(block.u), static_cast<unsigned char>(block.v));
}

// Depth divides in double precision, which costs registers: pictures without it have a kernel of
// their own.
template <bool kDepth>
__global__ void __launch_bounds__(kThreads)
    overlay_kernel(const BlockList list, const Planes from, const DevicePicture to) {
  __shared__ int found[kThreads];
  __shared__ int counts[kDown];
  const int left = static_cast<int>(blockIdx.x) * kTileWidth;
  const int top = static_cast<int>(blockIdx.y) * kTileHeight;
  const int x = left + 2 * static_cast<int>(threadIdx.x);
  const int y = top + 2 * static_cast<int>(threadIdx.y);
  const bool inside = x < list.width && y < list.height;
  Block block;
  if (inside) block = load(from, x, y, list.width, list.height);
  if constexpr (kDepth) {
    if (inside) draw_depth(list, x, y, block);
  }
  for (int first = 0; first < list.command_count; first += kThreads) {
    const int total = find_commands(list, first, left, top, found, counts);
    for (int i = 0; i < total && inside; ++i) {
      const BlockCommand command = list.commands[found[i]];
      if (reaches(command, x, y, 2, 2)) draw_command(list, command, x, y, block);
    }
    __syncthreads();  // `found` is written anew
  }
  if (inside) store(to, x, y, list.width, list.height, block);
}

}  // namespace

void launch_overlay(const BlockList& list, const Plane (&from)[2], const DevicePicture& to,
                    cudaStream_t stream) {
  const dim3 tiles(static_cast<unsigned>((list.width + kTileWidth - 1) / kTileWidth),
                   static_cast<unsigned>((list.height + kTileHeight - 1) / kTileHeight));
  const Planes planes{from[0].data, from[1].data, from[0].stride, from[1].stride};
  const auto kernel = list.depth ? overlay_kernel<true> : overlay_kernel<false>;
  kernel<<<tiles, dim3(kAcross, kDown), 0, stream>>>(list, planes, to);
  CUDA_CHECK(cudaGetLastError());
}

}  // namespace peregrine::output
