// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace peregrine::cuda {

enum class Pooling : std::int8_t { kMaximum, kAverage, kNorm };

/// Any pool over one to three axes at any strides, FP16 or FP32. Strides count elements over
/// [batch, channel, z, y, x].
struct PoolStridedParams {
  const void* input = nullptr;
  void* output = nullptr;
  std::int64_t* indices = nullptr;  ///< MaxPool's second output, at `index_stride`; may be null
  bool input_half = false, output_half = false;
  std::int64_t input_stride[5] = {}, output_stride[5] = {}, index_stride[5] = {};
  int batch = 1, channels = 0;
  int in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {}, dilation[3] = {1, 1, 1};
  int pad_end[3] = {};
  Pooling pooling = Pooling::kMaximum;
  float power = 2;             ///< of kNorm
  bool count_padding = false;  ///< averages count the stated padding, not what ceil_mode adds
  bool column_major = false;   ///< order of the indices of two axes
};

void launch_pool_strided(const PoolStridedParams& params, bool overlapped, cudaStream_t stream);

/// The mean or maximum of whole pictures: NHWC FP16 at pixel strides, channels in eights, 16-byte
/// aligned; `output` [batch, channels], images `output_stride` elements apart.
struct GlobalPoolParams {
  const void* input = nullptr;
  void* output = nullptr;
  bool output_half = true;
  int input_stride = 0;
  std::int64_t output_stride = 0;
  int batch = 1, channels = 0, pixels = 0;
  bool average = true;
};
void launch_global_pool(const GlobalPoolParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
