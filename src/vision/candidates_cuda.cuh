// SPDX-License-Identifier: Apache-2.0
// What the scans of every head do with a warp.
#pragma once

#include "vision/candidates_cuda.h"
#include "vision/overlap.h"

namespace peregrine::vision {

constexpr unsigned kAll = 0xffffffffu;

/// Adds what passes to the list of picture `blockIdx.y`, one atomic operation a warp. Whole warps
/// call it. `allowed`, by class, may be null.
__device__ inline void append(const CandidateLists& lists, const std::uint8_t* allowed, bool passes,
                              int entry, float score, int class_id) {
  passes = passes && (allowed == nullptr || allowed[class_id] != 0);
  const unsigned passing = __ballot_sync(kAll, passes);
  if (passing == 0) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int leader = __ffs(static_cast<int>(passing)) - 1;
  unsigned place = 0;
  if (lane == leader) {
    place = atomicAdd(&lists.counts[blockIdx.y], static_cast<unsigned>(__popc(passing)));
  }
  place = __shfl_sync(kAll, place, leader) + __popc(passing & ((1u << lane) - 1));
  if (!passes || place >= static_cast<unsigned>(lists.entries)) return;
  const std::size_t first = static_cast<std::size_t>(blockIdx.y) * lists.entries;
  lists.keys[first + place] =
      static_cast<std::uint64_t>(falling_key(score)) << 32 | static_cast<unsigned>(entry);
  lists.classes[first + entry] = class_id;
}

struct BestClass {
  float score;
  int class_id;
};
/// The answer of std::max_element, by the whole warp: the lowest class of equals, and a first score
/// that is not a number stays.
__device__ inline BestClass best_class(const float* scores, int count) {
  BestClass best{scores[0], 0};
  for (int c = static_cast<int>(threadIdx.x % 32); c < count; c += 32) {
    if (best.score < scores[c]) best = {scores[c], c};
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    const BestClass other{__shfl_xor_sync(kAll, best.score, distance),
                          __shfl_xor_sync(kAll, best.class_id, distance)};
    if (best.score < other.score || (best.score == other.score && other.class_id < best.class_id)) {
      best = other;
    }
  }
  return best;
}

}  // namespace peregrine::vision
