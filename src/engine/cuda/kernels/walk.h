// SPDX-License-Identifier: Apache-2.0
// One order in which all positions of a tensor are visited, with the offset of each position in
// several tensors at once: what most kernels that move elements are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

#include "engine/cuda/kernels/fast_divisor.h"
#include "engine/cuda/kernels/loop_nest.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// Offsets count elements. A set of strides may also count something else along the walk, such as
/// the position on one axis. Below 2^31 throughout, so that kernels compute in 32 bits.
template <int Sets>
struct Walk {
  static constexpr int kMaxRank = 8;
  std::int32_t rank = 0;  ///< after merging
  std::int32_t count = 1;
  FastDivisor extent[kMaxRank];  ///< innermost first
  std::int32_t stride[kMaxRank][Sets] = {};

  /// Offsets of position `index` < `count`.
  PEREGRINE_HOST_DEVICE void offsets(int index, int (&at)[Sets]) const {
    PEREGRINE_UNROLL
    for (int s = 0; s < Sets; ++s) at[s] = 0;
    PEREGRINE_UNROLL
    for (int d = 0; d < kMaxRank; ++d) {
      if (d >= rank) break;
      const int quotient = extent[d].divide(index);
      const int position = index - quotient * static_cast<int>(extent[d].divisor);
      index = quotient;
      PEREGRINE_UNROLL
      for (int s = 0; s < Sets; ++s) at[s] += position * stride[d][s];
    }
  }
};

/// Throws `Error(kModelUnsupported)` when a nest is beyond a walk: 2^31 elements, here or in the
/// reach of a set, or more dimensions than `limit`.
void check_walkable(const LoopNest& nest, std::span<const std::int64_t> shape, int limit);

/// A walk over `shape`, outermost dimension first, with one set of strides each. Dimensions are
/// ordered so that the first set's strides grow (writes coalesce), and merged where all sets allow
/// it. Throws `Error(kModelUnsupported)` (see `check_walkable`).
template <int Sets>
Walk<Sets> make_walk(const Shape& shape, const Shape (&strides)[Sets]) {
  Walk<Sets> walk;
  const LoopNest nest = merge_dimensions(shape, strides);
  check_walkable(nest, shape, Walk<Sets>::kMaxRank);
  walk.count = static_cast<std::int32_t>(nest.count());
  if (walk.count == 0) return walk;
  for (std::size_t d = 0; d < nest.extents.size(); ++d) {
    walk.extent[d] = FastDivisor(static_cast<int>(nest.extents[d]));
    for (std::size_t s = 0; s < Sets; ++s) {
      walk.stride[d][s] = static_cast<std::int32_t>(nest.strides[s][d]);
    }
  }
  walk.rank = nest.rank();
  return walk;
}

/// Most elements, a power of two up to `limit`, that the walk can take at once: the first `moved`
/// sets run along them, the others stand still, and every address and stride is a multiple.
/// `addresses`: {address, bytes an element}. `others`: strides from outside the walk.
template <int Sets>
int vector_width(const Walk<Sets>& walk, int moved, int limit,
                 std::initializer_list<std::pair<const void*, std::size_t>> addresses,
                 std::span<const std::int32_t> others = {}) {
  if (walk.rank == 0) return 1;
  for (int s = 0; s < Sets; ++s) {
    if (walk.stride[0][s] != (s < moved ? 1 : 0)) return 1;
  }
  std::uint64_t all = walk.extent[0].divisor | static_cast<std::uint64_t>(limit);
  for (int d = 1; d < walk.rank; ++d) {
    for (int s = 0; s < moved; ++s) all |= static_cast<std::uint32_t>(walk.stride[d][s]);
  }
  for (const std::int32_t stride : others) all |= static_cast<std::uint32_t>(stride);
  for (const auto& [address, bytes] : addresses) {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    if (value % bytes != 0) return 1;
    all |= value / bytes;
  }
  return static_cast<int>(all & (~all + 1));
}

/// Strides keep counting elements; each position of the result stands for `width` of them. With
/// `in_units` strides count units of `width` elements instead.
template <int Sets>
Walk<Sets> widened(Walk<Sets> walk, int moved, int width, bool in_units) {
  if (width == 1) return walk;
  walk.count /= width;
  walk.extent[0] = FastDivisor(static_cast<int>(walk.extent[0].divisor) / width);
  for (int s = 0; s < moved; ++s) {
    for (int d = 0; d < walk.rank; ++d) {
      if (in_units && d > 0) walk.stride[d][s] /= width;
      if (!in_units && d == 0) walk.stride[d][s] *= width;
    }
  }
  return walk;
}

}  // namespace peregrine::cuda
