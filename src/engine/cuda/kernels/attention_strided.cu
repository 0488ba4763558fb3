// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention_strided.h"

#include <cfloat>

#include "engine/cuda/kernels/attention_mask.cuh"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// A warp owns a query and takes 32 keys at a time, one a lane, with the running maximum and sum of
// the fast kernel.
namespace peregrine::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;

__device__ __forceinline__ float load(const AttentionStridedTensor& t, std::int64_t at) {
  return t.half ? __half2float(static_cast<const __half*>(t.data)[at])
                : static_cast<const float*>(t.data)[at];
}
__device__ __forceinline__ std::int64_t head_offset(const AttentionStridedTensor& t, int image,
                                                    int head) {
  return image * t.stride[0] + head * t.stride[1];
}

__device__ __forceinline__ float sum_of_warp(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}
__device__ __forceinline__ float maximum_of_warp(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
  }
  return value;
}

__global__ void __launch_bounds__(kThreads)
    attention_strided_kernel(const __grid_constant__ AttentionStridedParams p) {
  extern __shared__ float shared[];
  const AttentionParams& c = p.common;
  let_next_kernel_start();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int row = static_cast<int>(blockIdx.x) * kWarps + warp;
  const int head = static_cast<int>(blockIdx.y), image = static_cast<int>(blockIdx.z);
  if (row >= c.queries) return;
  float* query = shared + warp * (c.query_width + c.value_width);
  float* result = query + c.query_width;
  const int shared_head = head / c.heads_per_key;
  const std::int64_t key = head_offset(p.key, image, shared_head);
  const std::int64_t value = head_offset(p.value, image, shared_head);
  const std::int64_t mask = image * c.mask.stride[0] + head * c.mask.stride[1];
  wait_for_previous_kernel();
  const std::int64_t from = head_offset(p.query, image, head) + row * p.query.stride[2];
  for (int d = lane; d < c.query_width; d += 32)
    query[d] = load(p.query, from + d * p.query.stride[3]);
  for (int d = lane; d < c.value_width; d += 32) result[d] = 0;
  __syncwarp();
  float maximum = -FLT_MAX, sum = 0;
  for (int first = 0; first < c.keys; first += 32) {
    const int column = first + lane;
    float score = -INFINITY;
    if (column < c.keys) {
      const std::int64_t at = key + column * p.key.stride[2];
      float dot = 0;
      for (int d = 0; d < c.query_width; ++d) {
        dot = fmaf(query[d], load(p.key, at + d * p.key.stride[3]), dot);
      }
      score = masked_score(c, mask, row, column, dot * c.scale);
    }
    const float best = fmaxf(maximum, maximum_of_warp(score));
    const float shrink = expf(maximum - best), weight = expf(score - best);
    maximum = best;
    sum = sum * shrink + sum_of_warp(weight);
    const int count = min(32, c.keys - first);
    // All lanes take part in each exchange, those past the width too.
    for (int base = 0; base < c.value_width; base += 32) {
      const int d = base + lane;
      const bool inside = d < c.value_width;
      float total = inside ? result[d] * shrink : 0.0f;
      for (int j = 0; j < count; ++j) {
        const float w = __shfl_sync(0xffffffffu, weight, j);
        if (inside) {
          total = fmaf(
              w, load(p.value, value + (first + j) * p.value.stride[2] + d * p.value.stride[3]),
              total);
        }
      }
      if (inside) result[d] = total;
    }
  }
  const float scale = c.zero_if_masked && sum == 0 ? 0.0f : 1.0f / sum;
  const std::int64_t to = head_offset(p.output, image, head) + row * p.output.stride[2];
  for (int d = lane; d < c.value_width; d += 32) {
    const std::int64_t at = to + d * p.output.stride[3];
    if (p.output.half) {
      static_cast<__half*>(p.output.data)[at] = __float2half_rn(result[d] * scale);
    } else {
      static_cast<float*>(p.output.data)[at] = result[d] * scale;
    }
  }
}

}  // namespace

void launch_attention_strided(const AttentionStridedParams& p, bool overlapped,
                              cudaStream_t stream) {
  const AttentionParams& c = p.common;
  const void* kernel = reinterpret_cast<const void*>(&attention_strided_kernel);
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(c.queries, kWarps)),
                    static_cast<unsigned>(c.heads), static_cast<unsigned>(c.batch));
  shape.block = dim3(kThreads);
  shape.shared_bytes = kWarps * (c.query_width + c.value_width) * 4;
  shape.overlapped = overlapped;
  launch(kernel, shape, p, stream);
}

}  // namespace peregrine::cuda
