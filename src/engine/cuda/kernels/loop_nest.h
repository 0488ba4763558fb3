// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// A walk over several tensors at once, as few dimensions as their strides allow, innermost first.
/// Strides count elements; 0 repeats, negative walks back.
struct LoopNest {
  std::vector<std::int64_t> extents;
  std::vector<std::vector<std::int64_t>> strides;  ///< [tensor][dimension]

  int rank() const { return static_cast<int>(extents.size()); }
  std::int64_t count() const;
  /// Whether the elements of all tensors lie within 2^31 elements of their first one.
  bool fits_int() const;
};

/// Orders dimensions by the strides of tensor 0 (then 1, ...), drops those of one element and
/// merges those that are one in every tensor. With `keep_order` they are merged as they come.
LoopNest merge_dimensions(std::span<const std::int64_t> shape, std::span<const Shape> strides,
                          bool keep_order = false);

}  // namespace peregrine::cuda
