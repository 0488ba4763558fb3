// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/activation.h"

namespace peregrine::cuda {

/// A tensor [batch, channel, z, y, x] at any strides, FP16 or FP32.
struct StridedPicture {
  void* data = nullptr;
  bool half = false;
  std::int64_t stride[5] = {};
};

/// Any convolution or transposed convolution over one to three axes, on FP32 arithmetic: the FP32
/// plan's kernel, and what odd channel counts get. A transposed convolution is one whose input is
/// stretched by its stride (`stretch`), with the kernel mirrored by whoever packs the weights.
/// Output position o sees input position (o * stride - pad + k * dilation) / stretch, where that is
/// whole.
struct ConvStridedParams {
  StridedPicture input, output, residual;  ///< residual.data null: none
  const float* weight = nullptr;           ///< [tap][in channel of the group][group][out channel]
  const float* bias = nullptr;             ///< one an output channel; may be null
  int batch = 1, groups = 1;
  int in_channels = 0, out_channels = 0;  ///< of one group
  int in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
  int kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {}, dilation[3] = {1, 1, 1};
  int stretch[3] = {1, 1, 1};
  ActivationParams activation;
  bool residual_before_activation = false;
};

void launch_conv_strided(const ConvStridedParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
