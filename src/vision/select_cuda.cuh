// SPDX-License-Identifier: Apache-2.0
// The best keys of a list, selected and sorted by one block of threads. `Shared` has what is used
// here: keys, bins, sums, lowest, highest, filled, crossing, taken.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace peregrine::vision {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kThreads = 1024, kWarps = kThreads / 32;  // of the block
constexpr int kBins = 2 * kThreads, kBinBits = 11;

__device__ inline int thread() { return static_cast<int>(threadIdx.x); }
__device__ inline std::uint64_t below(int bit) { return (std::uint64_t{1} << bit) - 1; }

// Sum over the threads before this one; `total` over all.
__device__ inline std::uint64_t sum_before(std::uint64_t value, std::uint64_t* sums,
                                           std::uint64_t& total) {
  const int lane = thread() % 32, warp = thread() / 32;
  std::uint64_t upto = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const std::uint64_t other = __shfl_up_sync(kAll, upto, distance);
    if (lane >= distance) upto += other;
  }
  __syncthreads();  // the last answer has been read
  if (lane == 31) sums[warp] = upto;
  __syncthreads();
  if (warp == 0) {
    const std::uint64_t own = sums[lane];
    std::uint64_t all = own;
    for (int distance = 1; distance < 32; distance *= 2) {
      const std::uint64_t other = __shfl_up_sync(kAll, all, distance);
      if (lane >= distance) all += other;
    }
    sums[lane] = all - own;
    if (lane == 31) sums[kWarps] = all;
  }
  __syncthreads();
  total = sums[kWarps];
  return sums[warp] + upto - value;
}

// The keys above `last` that lie in [low, high]: their range.
template <typename Shared>
__device__ void find_range(Shared& s, const std::uint64_t* keys, int count, std::uint64_t last,
                           std::uint64_t& low, std::uint64_t& high) {
  low = ~std::uint64_t{0}, high = 0;
  for (int i = thread(); i < count; i += kThreads) {
    if (keys[i] > last) low = min(low, keys[i]), high = max(high, keys[i]);
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    low = min(low, __shfl_xor_sync(kAll, low, distance));
    high = max(high, __shfl_xor_sync(kAll, high, distance));
  }
  if (thread() % 32 == 0) s.lowest[thread() / 32] = low, s.highest[thread() / 32] = high;
  __syncthreads();
  for (int w = 0; w < kWarps; ++w) low = min(low, s.lowest[w]), high = max(high, s.highest[w]);
}

// A bound such that between half of `most` and `most` keys lie above `last` and up to it, or all
// that are left. Histograms over ever narrower ranges: keys differ, so the range ends at one key.
template <typename Shared>
__device__ std::uint64_t select_bound(Shared& s, const std::uint64_t* keys, int count,
                                      std::uint64_t last, int most) {
  std::uint64_t low, high;
  find_range(s, keys, count, last, low, high);
  int taken = 0;
  for (;;) {
    const int shift = max(0, 64 - __clzll(static_cast<long long>(high - low)) - kBinBits);
    for (int b = thread(); b < kBins; b += kThreads) s.bins[b] = 0;
    __syncthreads();
    for (int i = thread(); i < count; i += kThreads) {
      if (keys[i] >= low && keys[i] <= high) atomicAdd(&s.bins[(keys[i] - low) >> shift], 1u);
    }
    __syncthreads();
    const int first = static_cast<int>(s.bins[2 * thread()]);
    const int second = static_cast<int>(s.bins[2 * thread() + 1]);
    std::uint64_t total;
    const int before = taken + static_cast<int>(sum_before(
                                   static_cast<std::uint64_t>(first + second), s.sums, total));
    if (taken + static_cast<int>(total) <= most) return high;
    // The bin in which `most` falls.
    if (before <= most && most < before + first) {
      s.crossing = 2 * thread(), s.taken = before;
    } else if (before + first <= most && most < before + first + second) {
      s.crossing = 2 * thread() + 1, s.taken = before + first;
    }
    __syncthreads();
    taken = s.taken;
    const std::uint64_t edge = low + (static_cast<std::uint64_t>(s.crossing) << shift);
    if (taken > 0 && taken >= most / 2) return edge - 1;
    high = min(high, edge + below(shift));
    low = edge;
  }
}

// The best keys above `last`, at most `most`, into shared memory in any order; their number.
template <typename Shared>
__device__ int take_round(Shared& s, const std::uint64_t* keys, int count, std::uint64_t last,
                          int most) {
  if (last == 0 && count <= most) {
    for (int i = thread(); i < count; i += kThreads) s.keys[i] = keys[i];
    return count;
  }
  const std::uint64_t bound = select_bound(s, keys, count, last, most);
  if (thread() == 0) s.filled = 0;
  __syncthreads();
  for (int i = thread(); i < count; i += kThreads) {
    if (keys[i] > last && keys[i] <= bound) s.keys[atomicAdd(&s.filled, 1)] = keys[i];
  }
  __syncthreads();
  return s.filled;
}

// Bitonic, rising. A warp's pairs of up to 32 apart lie in 64 keys that no other warp touches.
template <typename Shared>
__device__ void sort_round(Shared& s, int count) {
  int size = 64;
  while (size < count) size *= 2;
  for (int i = count + thread(); i < size; i += kThreads) s.keys[i] = ~std::uint64_t{0};
  __syncthreads();
  for (int length = 2; length <= size; length *= 2) {
    for (int stride = length / 2; stride > 0; stride /= 2) {
      if (thread() < size / 2) {
        const int low = 2 * thread() - (thread() & (stride - 1)), high = low + stride;
        const std::uint64_t a = s.keys[low], b = s.keys[high];
        if ((a > b) == ((low & length) == 0)) s.keys[low] = b, s.keys[high] = a;
      }
      const int next = stride > 1 ? stride / 2 : length;
      if (stride > 32 || next > 32) {
        __syncthreads();
      } else {
        __syncwarp();
      }
    }
  }
  __syncthreads();
}

}  // namespace peregrine::vision
