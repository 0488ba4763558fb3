// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>

#include "engine/cuda/kernels/fast_divisor.h"

namespace peregrine::cuda {

/// Elements from a tensor's first one to position `index` along axes merged by `merge_dimensions`,
/// innermost first. The outermost axis takes what is left: its extent is not read. (For offsets in
/// several tensors at once see walk.h.)
template <typename Offset, std::size_t MostAxes>
PEREGRINE_HOST_DEVICE Offset axis_offset(int index, int rank,
                                         const std::array<FastDivisor, MostAxes>& extents,
                                         const std::array<Offset, MostAxes>& strides) {
  Offset offset = 0;
  PEREGRINE_UNROLL
  for (int d = 0; d < static_cast<int>(MostAxes); ++d) {
    if (d >= rank) break;
    const int quotient = d + 1 < rank ? extents[d].divide(index) : 0;
    offset += (index - quotient * static_cast<int>(extents[d].divisor)) * strides[d];
    index = quotient;
  }
  return offset;
}

}  // namespace peregrine::cuda
