// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/selection.h"

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;

struct Block {
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return static_cast<int>(blockDim.x); }
  __device__ void sync() const { __syncthreads(); }
};

// One block, as each entry's place depends on all before it.
__global__ void __launch_bounds__(kThreads)
    non_zero_kernel(const __grid_constant__ NonZeroParams p) {
  __shared__ int hits_of[kWarps];
  let_next_kernel_start();
  wait_for_previous_kernel();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  int found = 0;
  for (int first = 0; first < p.walk.count; first += kThreads) {
    const int index = first + thread;
    const bool hit = index < p.walk.count && is_non_zero(p, index);
    const unsigned hits = __ballot_sync(0xffffffffU, hit);
    if (lane == 0) hits_of[warp] = __popc(hits);
    __syncthreads();
    int before = __popc(hits & ((1U << lane) - 1)), all = 0;
    for (int w = 0; w < kWarps; ++w) {
      before += w < warp ? hits_of[w] : 0;
      all += hits_of[w];
    }
    if (hit) put_position(p, found + before, index);
    found += all;
    __syncthreads();
  }
  for (int entry = found + thread; entry < p.walk.count; entry += kThreads) {
    put_position(p, entry, -1);
  }
}

constexpr int kChunk = 64;            // candidates looked at together, one bit each
constexpr int kSharedNumbers = 4096;  // sorted in shared memory up to so many

// One block a row. A chunk of candidates is compared with all boxes kept so far and with itself by
// all threads; then one thread walks the bits.
__global__ void __launch_bounds__(kThreads)
    suppress_kernel(const __grid_constant__ SuppressParams p) {
  using suppression::Corners;
  __shared__ std::uint64_t sorted[kSharedNumbers];
  __shared__ Corners chunk[kChunk];
  __shared__ unsigned long long overlaps[kChunk];  // bit b of entry a: a's box hides b's
  __shared__ int position[kChunk], hidden[kChunk], chosen[kChunk];
  __shared__ int candidates, chosen_count;
  let_next_kernel_start();
  wait_for_previous_kernel();
  const int thread = static_cast<int>(threadIdx.x), row = static_cast<int>(blockIdx.x);
  const int batch = row / p.classes;
  std::uint64_t* numbers = p.numbers + static_cast<std::int64_t>(row) * p.pitch;
  auto* kept = reinterpret_cast<Corners*>(p.kept) + static_cast<std::int64_t>(row) * p.limit;
  std::int32_t* selected = p.selected + static_cast<std::int64_t>(row) * p.limit;

  if (thread == 0) candidates = 0;
  __syncthreads();
  for (int box = thread; box < p.boxes_each; box += kThreads) {
    const std::uint64_t number = suppression::candidate(p, row, box);
    if (number != suppression::kNoCandidate) numbers[atomicAdd(&candidates, 1)] = number;
  }
  __syncthreads();
  const int count = candidates;
  int padded = 1;
  while (padded < count) padded *= 2;
  if (padded <= kSharedNumbers) {
    for (int i = thread; i < count; i += kThreads) sorted[i] = numbers[i];
    numbers = sorted;
  }
  for (int i = count + thread; i < padded; i += kThreads) numbers[i] = ~std::uint64_t{0};
  top_k::sort(Block{}, numbers, padded);

  int kept_count = 0;
  for (int first = 0; first < count && kept_count < p.limit; first += kChunk) {
    const int size = min(kChunk, count - first);
    if (thread < size) {
      position[thread] = static_cast<int>(numbers[first + thread] & 0xffffffffU);
      chunk[thread] = suppression::corners_of(p, batch, position[thread]);
      overlaps[thread] = 0;
      hidden[thread] = 0;
    }
    __syncthreads();
    const int own = thread % kChunk;
    for (int k = thread / kChunk; own < size && k < kept_count; k += kThreads / kChunk) {
      if (suppression::overlap(chunk[own], kept[k]) > p.max_iou) {
        hidden[own] = 1;
        break;
      }
    }
    for (int pair = thread; pair < size * kChunk; pair += kThreads) {
      const int a = pair / kChunk, b = pair % kChunk;
      if (a < b && b < size && suppression::overlap(chunk[b], chunk[a]) > p.max_iou) {
        atomicOr(&overlaps[a], 1ULL << b);
      }
    }
    __syncthreads();
    if (thread == 0) {
      unsigned long long gone = 0;
      chosen_count = 0;
      for (int i = 0; i < size && kept_count + chosen_count < p.limit; ++i) {
        if (hidden[i] || (gone >> i & 1)) continue;
        gone |= overlaps[i];
        chosen[chosen_count++] = i;
      }
    }
    __syncthreads();
    if (thread < chosen_count) {
      kept[kept_count + thread] = chunk[chosen[thread]];
      selected[kept_count + thread] = position[chosen[thread]];
    }
    kept_count += chosen_count;
    __syncthreads();
  }
  if (thread == 0) p.counts[row] = kept_count;
}

// One block a row: its place is the sum of what the rows before it keep.
__global__ void __launch_bounds__(kThreads)
    suppressed_rows_kernel(const __grid_constant__ SuppressedRowsParams p) {
  __shared__ int before, all;
  let_next_kernel_start();
  wait_for_previous_kernel();
  const int thread = static_cast<int>(threadIdx.x), row = static_cast<int>(blockIdx.x);
  if (thread == 0) before = all = 0;
  __syncthreads();
  int own_before = 0, own_all = 0;
  for (int r = thread; r < p.rows; r += kThreads) {
    own_all += p.counts[r];
    own_before += r < row ? p.counts[r] : 0;
  }
  atomicAdd(&before, own_before);
  atomicAdd(&all, own_all);
  __syncthreads();
  const int count = p.counts[row];
  for (int k = thread; k < count; k += kThreads) {
    put_selection(p, before + k, row, p.selected[static_cast<std::int64_t>(row) * p.limit + k]);
  }
  for (int entry = all + row * kThreads + thread; entry < p.rows * p.limit;
       entry += p.rows * kThreads) {
    put_selection(p, entry, -1, -1);
  }
}

LaunchShape one_block_each(int rows, bool overlapped) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(rows));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  return shape;
}

}  // namespace

void launch_non_zero(const NonZeroParams& params, bool overlapped, cudaStream_t stream) {
  if (params.walk.count == 0) return;
  launch(reinterpret_cast<const void*>(&non_zero_kernel), one_block_each(1, overlapped), params,
         stream);
}

void launch_suppress(const SuppressParams& params, bool overlapped, cudaStream_t stream) {
  if (params.rows == 0) return;
  launch(reinterpret_cast<const void*>(&suppress_kernel), one_block_each(params.rows, overlapped),
         params, stream);
}

void launch_suppressed_rows(const SuppressedRowsParams& params, bool overlapped,
                            cudaStream_t stream) {
  if (params.rows == 0) return;
  launch(reinterpret_cast<const void*>(&suppressed_rows_kernel),
         one_block_each(params.rows, overlapped), params, stream);
}

}  // namespace peregrine::cuda
