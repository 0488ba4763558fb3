// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/top_k.h"

#include <algorithm>

#include "engine/cuda/kernels/each.cuh"

namespace peregrine::cuda {
namespace {

constexpr int kMostThreads = 1024;

struct Block {
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return static_cast<int>(blockDim.x); }
  __device__ void sync() const { __syncthreads(); }
  __device__ void add(std::uint32_t* counter) const { atomicAdd(counter, 1U); }
  __device__ int add(std::int32_t* counter) const { return atomicAdd(counter, 1); }

  // The bin that holds the wanted-th number, by the first warp: each lane sums eight bins.
  __device__ void find_bin(top_k::Shared& shared) const {
    constexpr int kBinsOfLane = top_k::kBins / 32;
    if (threadIdx.x >= 32) return;
    const int lane = static_cast<int>(threadIdx.x);
    int counts[kBinsOfLane], sum = 0;
#pragma unroll
    for (int b = 0; b < kBinsOfLane; ++b) {
      counts[b] = static_cast<int>(shared.bins[lane * kBinsOfLane + b]);
      sum += counts[b];
    }
    int upto = sum;
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      const int other = __shfl_up_sync(0xffffffffU, upto, distance);
      if (lane >= distance) upto += other;
    }
    int before = upto - sum;
    const int wanted = shared.wanted;
    __syncwarp();
    if (wanted <= before || wanted > upto) return;
    bool done = false;
#pragma unroll
    for (int b = 0; b < kBinsOfLane; ++b) {
      if (!done && wanted <= before + counts[b]) {
        shared.prefix =
            shared.prefix << top_k::kDigitBits | static_cast<unsigned>(lane * kBinsOfLane + b);
        shared.wanted = wanted - before;
        shared.found = counts[b];
        done = true;
      }
      before += counts[b];
    }
  }
};

template <typename T, bool InShared>
__global__ void __launch_bounds__(kMostThreads) top_k_kernel(const __grid_constant__ TopKParams p) {
  extern __shared__ std::uint64_t shared_numbers[];
  __shared__ top_k::Shared shared;
  let_next_kernel_start();
  wait_for_previous_kernel();
  const int row = static_cast<int>(blockIdx.x);
  std::uint64_t* numbers =
      InShared ? shared_numbers : p.scratch + static_cast<std::int64_t>(row) * p.sorted;
  top_k::run_row<Block, T>(Block{}, p, row, shared, numbers);
}

template <typename T>
const void* kernel_of(bool in_shared) {
  return in_shared ? reinterpret_cast<const void*>(&top_k_kernel<T, true>)
                   : reinterpret_cast<const void*>(&top_k_kernel<T, false>);
}

}  // namespace

void launch_top_k(const TopKParams& params, bool overlapped, cudaStream_t stream) {
  if (params.walk.count == 0 || params.k == 0) return;
  const bool in_shared = params.scratch == nullptr;
  const int work = params.selects ? params.length : params.sorted / 2;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(params.walk.count));
  shape.block = dim3(static_cast<unsigned>(std::clamp((work + 31) / 32 * 32, 32, kMostThreads)));
  shape.shared_bytes = in_shared ? params.sorted * static_cast<int>(sizeof(std::uint64_t)) : 0;
  shape.overlapped = overlapped;
  const void* kernel = nullptr;
  switch (params.input_dtype) {
    case DType::kFloat16: kernel = kernel_of<__half>(in_shared); break;
    case DType::kInt32: kernel = kernel_of<std::int32_t>(in_shared); break;
    default: kernel = kernel_of<float>(in_shared); break;
  }
  launch(kernel, shape, params, stream);
}

void launch_counted_top_k(const CountedTopKParams& params, bool overlapped, cudaStream_t stream) {
  launch_each<CountedTopKBody>(params, overlapped, stream);
}

}  // namespace peregrine::cuda
