// SPDX-License-Identifier: Apache-2.0
#include "vision/candidates_cuda.h"

#include <limits>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "vision/candidates_cuda.cuh"

namespace peregrine::vision {
namespace {

using cuda::let_next_kernel_start;
using cuda::wait_for_previous_kernel;

constexpr int kThreads = 256;
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

__device__ const float* picture_of(const ScanParams& p) {
  return p.raw.data + static_cast<std::ptrdiff_t>(blockIdx.y) * p.picture_stride;
}

__device__ void empty_arena(const ScanParams& p) {
  if (p.claimed != nullptr && blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0) {
    *p.claimed = 0;
  }
}

// Channels outermost. A block looks at 128 anchors, four a lane; its warps share the classes, so
// that one picture alone has enough loads under way.
constexpr int kWarps = kThreads / 32, kAnchorsOfLane = 4, kAnchorsOfBlock = 32 * kAnchorsOfLane;

// Four at once need rows that are aligned to 16 bytes.
template <bool kVector>
struct Lane {
  int anchors[kAnchorsOfLane];  // kept inside the picture; what is read twice is appended once
  int slots[kAnchorsOfLane];

  __device__ Lane(int first, int anchor_count) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    for (int i = 0; i < kAnchorsOfLane; ++i) {
      slots[i] = kVector ? lane * kAnchorsOfLane + i : lane + 32 * i;
      anchors[i] = min(first + slots[i], anchor_count - (kVector ? kAnchorsOfLane - i : 1));
    }
  }
  __device__ void load(const float* row, float (&values)[kAnchorsOfLane]) const {
    if constexpr (kVector) {
      const float4 four = *reinterpret_cast<const float4*>(row + anchors[0]);
      values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
    } else {
      for (int i = 0; i < kAnchorsOfLane; ++i) values[i] = row[anchors[i]];
    }
  }
};

template <bool kVector>
__global__ void __launch_bounds__(kThreads) scan_yolov8(const __grid_constant__ ScanParams p) {
  __shared__ float best_of[kWarps][kAnchorsOfBlock];
  __shared__ int class_of[kWarps][kAnchorsOfBlock];
  let_next_kernel_start();
  wait_for_previous_kernel();
  empty_arena(p);
  const int first = static_cast<int>(blockIdx.x) * kAnchorsOfBlock;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const Lane<kVector> lane(first, p.raw.anchors);
  float best[kAnchorsOfLane];
  int classes[kAnchorsOfLane] = {};
  for (float& each : best) each = -std::numeric_limits<float>::infinity();
  const int begin = p.class_count * warp / kWarps, end = p.class_count * (warp + 1) / kWarps;
  const float* row = picture_of(p) + (4 + begin) * p.raw.channel_stride;
#pragma unroll 5
  for (int c = begin; c < end; ++c, row += p.raw.channel_stride) {
    float values[kAnchorsOfLane];
    lane.load(row, values);
    for (int i = 0; i < kAnchorsOfLane; ++i) {
      if (values[i] > best[i]) best[i] = values[i], classes[i] = c;
    }
  }
  for (int i = 0; i < kAnchorsOfLane; ++i) {
    best_of[warp][lane.slots[i]] = best[i];
    class_of[warp][lane.slots[i]] = classes[i];
  }
  __syncthreads();
  const int slot = static_cast<int>(threadIdx.x);
  if (slot >= kAnchorsOfBlock) return;
  float score = best_of[0][slot];
  int class_id = class_of[0][slot];
  for (int w = 1; w < kWarps; ++w) {  // in the order of the classes: the lowest of equals stays
    if (best_of[w][slot] > score) score = best_of[w][slot], class_id = class_of[w][slot];
  }
  append(p.lists, p.allowed, first + slot < p.raw.anchors && score > p.confidence, first + slot,
         score, class_id);
}

// Anchors outermost: only the rows whose objectness passes are read in full, by the whole warp.
__global__ void __launch_bounds__(kThreads) scan_yolov5(const __grid_constant__ ScanParams p) {
  let_next_kernel_start();
  wait_for_previous_kernel();
  empty_arena(p);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int anchor = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const float* rows = picture_of(p);
  const float objectness =
      anchor < p.raw.anchors ? rows[anchor * p.raw.anchor_stride + 4] : kNotANumber;
  const bool open = objectness > p.confidence;
  float score = 0;
  int class_id = 0;
  for (unsigned pending = __ballot_sync(kAll, open); pending != 0; pending &= pending - 1) {
    const int turn = __ffs(static_cast<int>(pending)) - 1;
    const float* scores = rows + (anchor - lane + turn) * p.raw.anchor_stride + 5;
    const BestClass best = best_class(scores, p.class_count);
    if (lane == turn) score = objectness * best.score, class_id = best.class_id;
  }
  append(p.lists, p.allowed, open && score > p.confidence, anchor, score, class_id);
}

// Rows that the graph has kept: x1 y1 x2 y2 score class.
__global__ void __launch_bounds__(kThreads) scan_yolov10(const __grid_constant__ ScanParams p) {
  let_next_kernel_start();
  wait_for_previous_kernel();
  empty_arena(p);
  const int anchor = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  float score = kNotANumber, class_value = -1;
  if (anchor < p.raw.anchors) {
    const float* row = picture_of(p) + anchor * p.raw.anchor_stride;
    score = row[4], class_value = row[5];
  }
  const bool passes =
      score > p.confidence && class_value >= 0 && class_value < static_cast<float>(p.class_count);
  append(p.lists, p.allowed, passes, anchor, score, passes ? static_cast<int>(class_value) : 0);
}

}  // namespace

void launch_scan(Head head, const ScanParams& params, int pictures, cudaStream_t stream) {
  const bool channels_first = head == Head::kYoloV8;
  const void* kernel = nullptr;
  switch (head) {
    case Head::kYoloV5: kernel = reinterpret_cast<const void*>(&scan_yolov5); break;
    case Head::kYoloV10: kernel = reinterpret_cast<const void*>(&scan_yolov10); break;
    default:
      kernel = params.raw.anchors % kAnchorsOfLane == 0 &&
                       reinterpret_cast<std::uintptr_t>(params.raw.data) % sizeof(float4) == 0
                   ? reinterpret_cast<const void*>(&scan_yolov8<true>)
                   : reinterpret_cast<const void*>(&scan_yolov8<false>);
  }
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(cuda::ceil_div(
                        params.raw.anchors, channels_first ? kAnchorsOfBlock : kThreads)),
                    static_cast<unsigned>(pictures));
  shape.block = dim3(kThreads);
  shape.overlapped = false;  // what comes before need not know of programmatic launches
  cuda::launch(kernel, shape, params, stream);
}

}  // namespace peregrine::vision
