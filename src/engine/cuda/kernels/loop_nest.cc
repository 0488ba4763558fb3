// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/loop_nest.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>

namespace peregrine::cuda {

std::int64_t LoopNest::count() const { return element_count(extents); }

bool LoopNest::fits_int() const {
  // Idle threads of the last block count on past the end.
  constexpr std::int64_t kLimit = std::numeric_limits<std::int32_t>::max() - 4096;
  if (count() > kLimit) return false;
  return std::all_of(strides.begin(), strides.end(), [&](const auto& of_tensor) {
    std::int64_t reach = 0;
    for (std::size_t d = 0; d < extents.size(); ++d) {
      reach += std::abs(of_tensor[d]) * std::max<std::int64_t>(extents[d] - 1, 0);
    }
    return reach <= kLimit;
  });
}

LoopNest merge_dimensions(std::span<const std::int64_t> shape, std::span<const Shape> strides,
                          bool keep_order) {
  std::vector<std::size_t> order(shape.size());
  std::iota(order.rbegin(), order.rend(), 0U);  // innermost first
  std::erase_if(order, [&](std::size_t axis) { return shape[axis] == 1; });
  const auto inside = [&](std::size_t a, std::size_t b) {
    for (const Shape& of_tensor : strides) {
      const std::int64_t x = std::abs(of_tensor[a]), y = std::abs(of_tensor[b]);
      if (x != y) return x < y;
    }
    return false;
  };
  if (!keep_order) std::stable_sort(order.begin(), order.end(), inside);
  LoopNest nest;
  nest.strides.resize(strides.size());
  for (const std::size_t axis : order) {
    bool merges = !nest.extents.empty();
    for (std::size_t t = 0; merges && t < strides.size(); ++t) {
      merges = strides[t][axis] == nest.strides[t].back() * nest.extents.back();
    }
    if (merges) {
      nest.extents.back() *= shape[axis];
      continue;
    }
    nest.extents.push_back(shape[axis]);
    for (std::size_t t = 0; t < strides.size(); ++t) {
      nest.strides[t].push_back(strides[t][axis]);
    }
  }
  return nest;
}

}  // namespace peregrine::cuda
