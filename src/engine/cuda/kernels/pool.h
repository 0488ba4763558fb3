// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/fast_divisor.h"

namespace peregrine::cuda {

/// A pooling window over NHWC FP16, channels in eights, each side perhaps a slice of a wider
/// tensor.
struct PoolParams {
  const void* input = nullptr;
  int input_stride = 0;  ///< elements from one pixel to the next
  void* output = nullptr;
  int output_stride = 0;
  int batch = 1, channels = 0;
  int in_height = 0, in_width = 0;
  int out_height = 0, out_width = 0;
  int kernel_height = 1, kernel_width = 1;
  int stride_y = 1, stride_x = 1;
  int pad_top = 0, pad_left = 0;
  int dilation_y = 1, dilation_x = 1;
  bool average = false;        ///< else the maximum
  bool count_padding = false;  ///< averages divide by the whole window, padding included
};

bool pool_supports(const PoolParams& params);
/// Windows wholly in the padding give -infinity (maximum) or NaN (average), as ONNX has it.
void launch_pool(const PoolParams& params, bool overlapped, cudaStream_t stream);

/// YOLO's SPPF: three maximum pools in a row, of odd `kernel`, stride 1 and "same" padding, each
/// reading the one before; output i goes to `output[i]`. Whole planes stay in shared memory between
/// them: one node and one pass instead of three.
struct PoolChainParams {
  const void* input = nullptr;
  int input_stride = 0;
  void* output[3] = {};
  int output_stride = 0;
  int batch = 1, channels = 0;
  int height = 0, width = 0;
  int kernel = 5;
  FastDivisor by_width;  ///< set by the launcher
};

bool pool_chain_supports(const PoolChainParams& params);
void launch_pool_chain(const PoolChainParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
