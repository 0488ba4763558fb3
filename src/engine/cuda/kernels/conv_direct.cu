// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 256;

/// The pixel (y, x) of a picture as the convolution sees it, and one of the concatenated channels.
template <typename T>
__device__ float read_source(const ConvParams& p, int image, int y, int x, int channel) {
  const bool second = channel >= p.source[0].channels;
  if (second) channel -= p.source[0].channels;
  const ConvSource& source = p.source[second];
  const std::int64_t pixel =
      (static_cast<std::int64_t>(image) * source.height + (y >> source.upsample_shift)) *
          source.width +
      (x >> source.upsample_shift);
  return static_cast<float>(
      static_cast<const T*>(source.data)[pixel * source.pixel_stride + channel]);
}

template <typename T>
__device__ float convolve(const ConvParams& p, int image, int y, int x, int group, int channel) {
  const T* weight = static_cast<const T*>(p.weight) + static_cast<std::int64_t>(channel) *
                                                          p.kernel_height * p.kernel_width *
                                                          p.in_channels;
  float sum = 0;
  for (int i = 0; i < p.kernel_height; ++i) {
    const int from_y = y * p.stride_y - p.pad_top + i * p.dilation_y;
    if (from_y < 0 || from_y >= p.in_height) continue;
    for (int j = 0; j < p.kernel_width; ++j) {
      const int from_x = x * p.stride_x - p.pad_left + j * p.dilation_x;
      if (from_x < 0 || from_x >= p.in_width) continue;
      const T* tap = weight + (i * p.kernel_width + j) * p.in_channels;
      for (int c = 0; c < p.in_channels; ++c) {
        sum += static_cast<float>(tap[c]) *
               read_source<T>(p, image, from_y, from_x, group * p.in_channels + c);
      }
    }
  }
  return sum;
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    conv_direct_kernel(const __grid_constant__ ConvParams p) {
  let_next_kernel_start();
  wait_for_previous_kernel();
  const int channels = p.out_channels * p.groups;
  const std::int64_t count =
      static_cast<std::int64_t>(p.batch) * p.out_height * p.out_width * channels;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += step) {
    const int channel = static_cast<int>(i % channels);
    const std::int64_t pixel = i / channels;
    const int x = static_cast<int>(pixel % p.out_width);
    const int y = static_cast<int>(pixel / p.out_width % p.out_height);
    const int image = static_cast<int>(pixel / p.out_width / p.out_height);
    const float sum = convolve<T>(p, image, y, x, channel / p.out_channels, channel) +
                      (p.bias ? p.bias[channel] : 0.0f);
    const float residual = p.residual ? static_cast<float>(static_cast<const T*>(
                                            p.residual)[pixel * p.residual_stride + channel])
                                      : 0.0f;
    float value[1] = {p.residual_before_activation ? sum + residual : sum};
    activate(value, p.activation);
    if (!p.residual_before_activation) value[0] += residual;
    std::int64_t to = pixel * p.output_stride + channel;
    if (p.output_image_stride != 0) {
      to = image * p.output_image_stride +
           (static_cast<std::int64_t>(y) * p.out_width + x) * p.output_stride + channel;
    }
    if (p.output_fp32) {
      static_cast<float*>(p.output)[to] = value[0];
    } else {
      static_cast<T*>(p.output)[to] = static_cast<T>(value[0]);
    }
  }
}

}  // namespace

void launch_conv_direct(const ConvParams& params, bool half, bool overlapped, cudaStream_t stream) {
  const std::int64_t count =
      static_cast<std::int64_t>(params.pixels()) * params.out_channels * params.groups;
  const std::int64_t blocks = (count + kThreads - 1) / kThreads;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks < (1 << 20) ? blocks : (1 << 20)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  const void* kernel = half ? reinterpret_cast<const void*>(&conv_direct_kernel<__half>)
                            : reinterpret_cast<const void*>(&conv_direct_kernel<float>);
  launch(kernel, shape, params, stream);
}

}  // namespace peregrine::cuda
