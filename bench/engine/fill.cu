// SPDX-License-Identifier: Apache-2.0
#include "fill.h"

#include <cmath>

#include <cuda_fp16.h>

#include "core/cuda/handles.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::bench {
namespace {

__device__ float uniform(unsigned long long index, unsigned seed) {
  unsigned x = static_cast<unsigned>(index) * 0x9e3779b9u ^ seed * 0x85ebca6bu;
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  x ^= x >> 16;
  return static_cast<float>(x >> 8) / 8388608.0f - 1.0f;
}

template <typename T>
__global__ void fill_kernel(T* data, std::size_t count, unsigned seed, float scale) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    data[i] = static_cast<T>(uniform(i, seed) * scale);
  }
}

__global__ void difference_kernel(const __half* a, const __half* b, std::size_t count,
                                  double* sums) {
  double difference = 0, norm = 0;
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    const double right = __half2float(b[i]), error = __half2float(a[i]) - right;
    difference += error * error;
    norm += right * right;
  }
  atomicAdd(sums, difference);
  atomicAdd(sums + 1, norm);
}

struct Touch {
  float* data;
  int floats_per_thread;
};

__global__ void touch_kernel(const __grid_constant__ Touch p) {
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  for (int i = 0; i < p.floats_per_thread; ++i) {
    float& value = p.data[i * step + blockIdx.x * blockDim.x + threadIdx.x];
    value = value * 0.5f + 1.0f;
  }
}

}  // namespace

void fill_half(void* data, std::size_t count, unsigned seed, float scale, cudaStream_t stream) {
  fill_kernel<<<1024, 256, 0, stream>>>(static_cast<__half*>(data), count, seed, scale);
  CUDA_CHECK(cudaGetLastError());
}

void fill_float(void* data, std::size_t count, unsigned seed, float scale, cudaStream_t stream) {
  fill_kernel<<<1024, 256, 0, stream>>>(static_cast<float*>(data), count, seed, scale);
  CUDA_CHECK(cudaGetLastError());
}

double relative_error_half(const void* a, const void* b, std::size_t count, cudaStream_t stream) {
  const cuda::DeviceBuffer sums(2 * sizeof(double));
  CUDA_CHECK(cudaMemsetAsync(sums.data(), 0, sums.bytes(), stream));
  difference_kernel<<<264, 256, 0, stream>>>(
      static_cast<const __half*>(a), static_cast<const __half*>(b), count, sums.as<double>());
  CUDA_CHECK(cudaGetLastError());
  double host[2];
  CUDA_CHECK(cudaMemcpyAsync(host, sums.data(), sums.bytes(), cudaMemcpyDeviceToHost, stream));
  CUDA_CHECK(cudaStreamSynchronize(stream));
  return std::sqrt(host[0] / host[1]);
}

void launch_touch(float* data, int floats_per_thread, int blocks, bool overlapped,
                  cudaStream_t stream) {
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks));
  shape.block = dim3(128);
  shape.overlapped = overlapped;
  cuda::launch(reinterpret_cast<const void*>(&touch_kernel), shape, Touch{data, floats_per_thread},
               stream);
}

}  // namespace peregrine::bench
