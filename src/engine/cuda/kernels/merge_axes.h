// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace peregrine::cuda {

/// One axis of several tensors walked in step.
struct MergedAxis {
  std::int64_t extent = 1;
  std::vector<std::int64_t> strides;  ///< one a tensor, in elements
};

/// Axes (given outermost first) that are contiguous in all tensors become one; those of length 1
/// go. The result is innermost first: what a kernel divides its index by.
std::vector<MergedAxis> merge_axes(std::span<const std::int64_t> shape,
                                   const std::vector<std::span<const std::int64_t>>& strides);

}  // namespace peregrine::cuda
