// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/row.h"

#include <cstdint>

#include <cuda_fp16.h>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// A warp owns a row. Rows are read again for each sweep: they are at most a few KB, so the second
// and third come from L1.
namespace peregrine::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;

__device__ __forceinline__ float sum_of_warp(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}
__device__ __forceinline__ float maximum_of_warp(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2)
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
  return value;
}

template <typename T>
__global__ void __launch_bounds__(kThreads) softmax_kernel(const __grid_constant__ RowParams p) {
  let_next_kernel_start();
  const int row = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32;
  if (row >= p.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const T* input = static_cast<const T*>(p.input) + static_cast<std::int64_t>(row) * p.width;
  T* output = static_cast<T*>(p.output) + static_cast<std::int64_t>(row) * p.width;
  wait_for_previous_kernel();
  float best = -INFINITY;
  for (int i = lane; i < p.width; i += 32) best = fmaxf(best, static_cast<float>(input[i]));
  best = maximum_of_warp(best);
  float sum = 0;
  for (int i = lane; i < p.width; i += 32) sum += __expf(static_cast<float>(input[i]) - best);
  const float scale = 1.0f / sum_of_warp(sum);
  for (int i = lane; i < p.width; i += 32) {
    output[i] = static_cast<T>(__expf(static_cast<float>(input[i]) - best) * scale);
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads) layer_norm_kernel(const __grid_constant__ RowParams p) {
  let_next_kernel_start();
  const int row = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32;
  if (row >= p.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const T* input = static_cast<const T*>(p.input) + static_cast<std::int64_t>(row) * p.width;
  T* output = static_cast<T*>(p.output) + static_cast<std::int64_t>(row) * p.width;
  const T* scale = static_cast<const T*>(p.scale);
  const T* bias = static_cast<const T*>(p.bias);
  wait_for_previous_kernel();
  float sum = 0;
  for (int i = lane; i < p.width; i += 32) sum += static_cast<float>(input[i]);
  const float mean = sum_of_warp(sum) / p.width;
  // The variance takes a sweep of its own: E[x^2] - E[x]^2 cancels where the mean is large.
  float squares = 0;
  for (int i = lane; i < p.width; i += 32) {
    const float difference = static_cast<float>(input[i]) - mean;
    squares += difference * difference;
  }
  const float inverse = rsqrtf(sum_of_warp(squares) / p.width + p.epsilon);
  for (int i = lane; i < p.width; i += 32) {
    float value = (static_cast<float>(input[i]) - mean) * inverse;
    if (scale) value *= static_cast<float>(scale[i]);
    if (bias) value += static_cast<float>(bias[i]);
    output[i] = static_cast<T>(value);
  }
}

void launch_rows(const void* kernel, const RowParams& params, bool overlapped,
                 cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(params.rows, kWarps)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(kernel, shape, params, stream);
}

}  // namespace

void launch_softmax(const RowParams& params, bool half, bool overlapped, cudaStream_t stream) {
  launch_rows(half ? reinterpret_cast<const void*>(&softmax_kernel<__half>)
                   : reinterpret_cast<const void*>(&softmax_kernel<float>),
              params, overlapped, stream);
}

void launch_layer_norm(const RowParams& params, bool half, bool overlapped, cudaStream_t stream) {
  launch_rows(half ? reinterpret_cast<const void*>(&layer_norm_kernel<__half>)
                   : reinterpret_cast<const void*>(&layer_norm_kernel<float>),
              params, overlapped, stream);
}

}  // namespace peregrine::cuda
