// SPDX-License-Identifier: Apache-2.0
// Whole-picture answers: one block a picture goes over its row of numbers.
#include "vision/decode_rows_cuda.h"

#include <cstdint>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "vision/overlap.h"

namespace peregrine::vision {
namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kThreads = 256, kWarps = kThreads / 32;

// `combine` of every thread's value, in a fixed order, for all of them. Needs kWarps values.
template <typename T, typename Combine>
__device__ T over_block(T value, T* shared, const Combine& combine) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(kAll, value, distance));
  }
  __syncthreads();  // the last answer has been read
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  value = shared[0];
  for (int w = 1; w < kWarps; ++w) value = combine(value, shared[w]);
  return value;
}

struct Add {
  __device__ double operator()(double a, double b) const { return a + b; }
};
struct Lower {
  __device__ std::uint64_t operator()(std::uint64_t a, std::uint64_t b) const {
    return a < b ? a : b;
  }
};

struct RowsParams {
  const float* rows;
  int size;
  void* out;
};

__global__ void __launch_bounds__(kThreads)
    top_classes_kernel(const __grid_constant__ RowsParams p) {
  __shared__ double sums[kWarps];
  __shared__ std::uint64_t keys[kWarps];
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const float* row = p.rows + static_cast<std::ptrdiff_t>(blockIdx.x) * p.size;
  const int top = min(kTopClasses, p.size);
  // The best is the lowest key; adding zero makes one zero of both.
  std::uint64_t best[kTopClasses];
  for (int place = 0; place < top; ++place) {
    std::uint64_t lowest = ~std::uint64_t{0};
    for (int i = static_cast<int>(threadIdx.x); i < p.size; i += kThreads) {
      const std::uint64_t key =
          static_cast<std::uint64_t>(falling_key(row[i] + 0.0f)) << 32 | static_cast<unsigned>(i);
      if ((place == 0 || key > best[place - 1]) && key < lowest) lowest = key;
    }
    best[place] = over_block(lowest, keys, Lower{});
  }
  const double highest = row[best[0] & 0xffffffffu];
  double sum = 0, exponentials = 0, outside = 0;
  for (int i = static_cast<int>(threadIdx.x); i < p.size; i += kThreads) {
    sum += row[i];
    exponentials += exp(row[i] - highest);
    if (!(row[i] >= 0 && row[i] <= 1)) outside = 1;
  }
  sum = over_block(sum, sums, Add{});
  exponentials = over_block(exponentials, sums, Add{});
  outside = over_block(outside, sums, Add{});
  // Probabilities already: see decode_classify.cc.
  const bool softmax = outside > 0 || !(fabs(sum - 1) < 1e-3);
  if (static_cast<int>(threadIdx.x) >= top) return;
  auto* out = static_cast<ClassScore*>(p.out) + static_cast<std::ptrdiff_t>(blockIdx.x) * top;
  for (int place = 0; place < top; ++place) {
    if (static_cast<int>(threadIdx.x) != place) continue;
    const int id = static_cast<int>(best[place] & 0xffffffffu);
    const double score = softmax ? exp(row[id] - highest) / exponentials : row[id];
    out[place] = {id, static_cast<float>(score)};
  }
}

__global__ void __launch_bounds__(kThreads) unit_rows_kernel(const __grid_constant__ RowsParams p) {
  __shared__ double sums[kWarps];
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(blockIdx.x) * p.size;
  const float* row = p.rows + first;
  double squares = 0;
  for (int i = static_cast<int>(threadIdx.x); i < p.size; i += kThreads) {
    squares += static_cast<double>(row[i]) * row[i];
  }
  squares = over_block(squares, sums, Add{});
  const float scale = squares > 0 ? static_cast<float>(1 / sqrt(squares)) : 1.0f;
  for (int i = static_cast<int>(threadIdx.x); i < p.size; i += kThreads) {
    static_cast<float*>(p.out)[first + i] = row[i] * scale;
  }
}

void launch_rows(const void* kernel, const RowsParams& params, int pictures, cudaStream_t stream) {
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(pictures));
  shape.block = dim3(kThreads);
  shape.overlapped = false;
  cuda::launch(kernel, shape, params, stream);
}

}  // namespace

void launch_top_classes(const float* rows, int classes, ClassScore* out, int pictures,
                        cudaStream_t stream) {
  launch_rows(reinterpret_cast<const void*>(&top_classes_kernel), {rows, classes, out}, pictures,
              stream);
}

void launch_unit_rows(const float* rows, int features, float* out, int pictures,
                      cudaStream_t stream) {
  launch_rows(reinterpret_cast<const void*>(&unit_rows_kernel), {rows, features, out}, pictures,
              stream);
}

}  // namespace peregrine::vision
