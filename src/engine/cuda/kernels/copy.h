// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/fast_divisor.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// Transpose, Slice, Expand, one part of a Concat, a change between planar and interleaved
/// pictures, a cast: all are reading a tensor at some strides and writing it at others.
struct CopyParams {
  static constexpr int kMaxRank = 6;
  const void* input = nullptr;
  void* output = nullptr;
  int rank = 0;  ///< after merging; dimensions innermost first
  std::array<FastDivisor, kMaxRank> extent;
  std::array<std::int64_t, kMaxRank> input_stride{};  ///< elements; 0 repeats, negative walks back
  std::array<std::int64_t, kMaxRank> output_stride{};
  std::int64_t count = 0;
};

/// Merges dimensions that are contiguous in both tensors and drops those of one element, so that
/// the kernel divides least. Strides in elements, outermost first. Throws
/// `Error(kModelUnsupported)` when more than six dimensions are left or there are 2^31 elements or
/// more.
CopyParams make_copy(std::span<const std::int64_t> shape,
                     std::span<const std::int64_t> input_strides,
                     std::span<const std::int64_t> output_strides);

/// FP32 and FP16 convert to each other; all other types only move. Throws
/// `Error(kModelUnsupported)` for another conversion.
void launch_copy(const CopyParams& params, DType input, DType output, bool overlapped,
                 cudaStream_t stream);

}  // namespace peregrine::cuda
