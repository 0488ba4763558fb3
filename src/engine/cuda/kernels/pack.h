// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/fast_divisor.h"

namespace peregrine::cuda {

/// Lays elements out as the tensor-core kernels read them: rows of `width` FP16 values, each padded
/// with zeros to `padded`, a multiple of eight. A row is a pixel, a patch of a picture or a row of
/// a matrix; its elements may lie anywhere at up to three strides.
struct PackParams {
  static constexpr int kMaxRank = 3;
  const void* input = nullptr;
  void* output = nullptr;  ///< packed [rows, padded], 16-byte aligned
  bool input_half = false;
  int rows = 0, width = 0, padded = 0;
  /// Axes of the rows and of their elements, innermost first, merged. The extents of the outermost
  /// axes are not needed and stay 1.
  int row_rank = 0, element_rank = 0;
  std::array<FastDivisor, kMaxRank> row_extent, element_extent;
  std::array<std::int64_t, kMaxRank> row_stride{}, element_stride{};  ///< elements
  bool rows_first = false;  ///< neighbouring threads take neighbouring rows, not chunks of a row
};

/// `shape` and `strides`: the first `row_axes` axes count rows, the others the elements of a row.
/// Throws `Error(kModelUnsupported)` when more than three of either are left after merging, or
/// there are 2^31 elements or more.
PackParams make_pack(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                     int row_axes, std::int64_t padded);

void launch_pack(const PackParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
