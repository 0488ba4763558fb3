// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/box_decode.h"

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// A block turns a tile of 32 anchors and 4 * bins channels around in shared memory: it comes in
// with neighbouring channels side by side and leaves with neighbouring anchors side by side. Blocks
// 0 of grid.z do the boxes, the others each as many classes.
namespace peregrine::cuda {
namespace {

constexpr int kAnchors = 32;
constexpr int kThreads = 256;
constexpr int kRow = kAnchors + 1;  // one more: columns fall into different banks

// Channels that are contiguous come in fours; the tile's rows stay one anchor apart.
__device__ __forceinline__ void load_tile(float* tile, const AnchorTensor& from, int image,
                                          int first_channel, int channels, int first_anchor,
                                          int anchors) {
  const float* data = from.data + image * from.image_stride + first_channel * from.channel_stride +
                      first_anchor * from.anchor_stride;
  const int thread = static_cast<int>(threadIdx.x);
  const bool in_fours = from.channel_stride == 1 && channels % 4 == 0 &&
                        from.anchor_stride % 4 == 0 &&
                        reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  if (in_fours) {
    // Eight threads have 32 neighbouring channels of an anchor, so a warp four anchors.
    for (int quad = thread % 8; quad < channels / 4; quad += 8) {
      const int anchor = thread / 8;
      if (anchor >= anchors) break;
      const float4 four =
          *reinterpret_cast<const float4*>(data + anchor * from.anchor_stride + quad * 4);
      float* to = tile + quad * 4 * kRow + anchor;
      to[0] = four.x, to[kRow] = four.y, to[2 * kRow] = four.z, to[3 * kRow] = four.w;
    }
    return;
  }
  const bool by_channel = from.channel_stride == 1;
  for (int i = thread; i < channels * kAnchors; i += kThreads) {
    const int channel = by_channel ? i % channels : i / kAnchors;
    const int anchor = by_channel ? i / channels : i % kAnchors;
    if (anchor < anchors) {
      tile[channel * kRow + anchor] =
          data[channel * from.channel_stride + anchor * from.anchor_stride];
    }
  }
}

__device__ __forceinline__ void decode_boxes(const BoxDecodeParams& p, float* tile, int image,
                                             int first_anchor, int anchors) {
  // Four sides of 32 anchors: half of the threads have one each.
  const int side = static_cast<int>(threadIdx.x) / kAnchors;
  const int anchor = static_cast<int>(threadIdx.x) % kAnchors;
  float distance = 0;
  if (side < 4 && anchor < anchors) {
    const float* x = tile + side * p.bin_count * kRow + anchor;
    float best = x[0];
#pragma unroll 4
    for (int k = 1; k < p.bin_count; ++k) best = fmaxf(best, x[k * kRow]);
    float sum = 0, expected = 0;
#pragma unroll 4
    for (int k = 0; k < p.bin_count; ++k) {
      const float share = __expf(x[k * kRow] - best);
      sum += share;
      expected += share * p.bins[k];
    }
    distance = expected / sum;
  }
  __syncthreads();  // the logits are read: their place takes the distances
  if (side < 4) tile[side * kRow + anchor] = distance;
  __syncthreads();
  if (side >= 4 || anchor >= anchors) return;
  const int at = first_anchor + anchor, axis = side % 2;
  const float stride = p.strides[at];
  const float low = p.anchors[axis * p.anchor_count + at] - tile[axis * kRow + anchor];
  const float high = p.anchors[(axis + 2) * p.anchor_count + at] + tile[(axis + 2) * kRow + anchor];
  float value = 0;
  if (p.corners) {
    value = side < 2 ? low : high;
  } else {
    value = side < 2 ? (low + high) * 0.5f : high - low;
  }
  p.output.data[image * p.output.image_stride + side * p.output.channel_stride +
                at * p.output.anchor_stride] = value * stride;
}

__global__ void __launch_bounds__(kThreads)
    box_decode_kernel(const __grid_constant__ BoxDecodeParams p) {
  extern __shared__ float tile[];
  let_next_kernel_start();
  const int first_anchor = static_cast<int>(blockIdx.x) * kAnchors;
  const int anchors = min(kAnchors, p.anchor_count - first_anchor);
  const int image = static_cast<int>(blockIdx.y);
  const int chunk = 4 * p.bin_count;
  wait_for_previous_kernel();
  if (blockIdx.z == 0) {
    load_tile(tile, p.logits, image, 0, chunk, first_anchor, anchors);
    __syncthreads();
    decode_boxes(p, tile, image, first_anchor, anchors);
    return;
  }
  const int first_class = (static_cast<int>(blockIdx.z) - 1) * chunk;
  const int classes = min(chunk, p.class_count - first_class);
  load_tile(tile, p.scores, image, first_class, classes, first_anchor, anchors);
  __syncthreads();
  float* output = p.output.data + image * p.output.image_stride +
                  (4 + first_class) * p.output.channel_stride +
                  first_anchor * p.output.anchor_stride;
  for (int i = static_cast<int>(threadIdx.x); i < classes * kAnchors; i += kThreads) {
    const int channel = i / kAnchors, anchor = i % kAnchors;
    if (anchor >= anchors) continue;
    output[channel * p.output.channel_stride + anchor * p.output.anchor_stride] =
        1.0f / (1.0f + __expf(-tile[channel * kRow + anchor]));
  }
}

}  // namespace

void launch_box_decode(const BoxDecodeParams& params, bool overlapped, cudaStream_t stream) {
  const int chunk = 4 * params.bin_count;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(params.anchor_count, kAnchors)),
                    static_cast<unsigned>(params.batch),
                    static_cast<unsigned>(1 + ceil_div(params.class_count, chunk)));
  shape.block = dim3(kThreads);
  shape.shared_bytes = chunk * kRow * static_cast<int>(sizeof(float));
  shape.overlapped = overlapped;
  launch(reinterpret_cast<const void*>(&box_decode_kernel), shape, params, stream);
}

}  // namespace peregrine::cuda
