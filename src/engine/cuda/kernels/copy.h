// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/walk.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// Transpose, Slice, Expand, one part of a Concat, a change between planar and interleaved
/// pictures, a cast: all are reading a tensor at some strides and writing it at others.
struct CopyParams {
  const void* input = nullptr;
  void* output = nullptr;
  Walk<2> walk;  ///< output, input; strides 0 repeat, negative ones walk back
};

/// Strides in elements, outermost first. Throws `Error(kModelUnsupported)` when more than eight
/// dimensions are left after merging or there are 2^31 elements or more.
CopyParams make_copy(const Shape& shape, const Shape& input_strides, const Shape& output_strides);

/// A copy whose input is contiguous along one dimension and whose output along another: squares of
/// kTile x kTile elements pass through shared memory, so that both sides move whole sectors.
struct TiledCopyParams {
  static constexpr int kTile = 32;
  const void* input = nullptr;
  void* output = nullptr;
  std::int32_t along_output = 0;  ///< extent of the dimension contiguous in the output
  std::int32_t along_input = 0;   ///< and in the input
  std::int32_t input_stride = 0;  ///< of the dimension contiguous in the output
  std::int32_t output_stride = 0;
  FastDivisor tiles_along_output, tiles_along_input;
  Walk<2> rest;  ///< the other dimensions: output, input

  int blocks() const;
};
/// None where squares would be mostly empty or there are no such dimensions.
std::optional<TiledCopyParams> make_tiled_copy(const CopyParams& params);

/// FP32 and FP16 convert to each other; all other types only move. Throws
/// `Error(kModelUnsupported)` for another conversion.
void launch_copy(const CopyParams& params, DType input, DType output, bool overlapped,
                 cudaStream_t stream);

}  // namespace peregrine::cuda
