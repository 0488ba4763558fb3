// SPDX-License-Identifier: Apache-2.0
#include "conv_reference.h"

#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::bench {
namespace {

using cuda::ConvParams;

constexpr int kThreads = 256;

__device__ float convolve(const ConvParams& p, int image, int y, int x, int channel) {
  const int taps = p.kernel_height * p.kernel_width;
  const auto* weight = static_cast<const __half*>(p.weight) +
                       static_cast<std::int64_t>(channel) * taps * p.in_channels;
  const auto* pixels = static_cast<const __half*>(p.source[0].data);
  float sum = 0;
  for (int i = 0; i < p.kernel_height; ++i) {
    const int from_y = y * p.stride_y - p.pad_top + i * p.dilation_y;
    if (from_y < 0 || from_y >= p.in_height) continue;
    for (int j = 0; j < p.kernel_width; ++j) {
      const int from_x = x * p.stride_x - p.pad_left + j * p.dilation_x;
      if (from_x < 0 || from_x >= p.in_width) continue;
      const std::int64_t pixel =
          (static_cast<std::int64_t>(image) * p.in_height + from_y) * p.in_width + from_x;
      const __half* from = pixels + pixel * p.source[0].pixel_stride;
      const __half* tap = weight + (i * p.kernel_width + j) * p.in_channels;
      for (int c = 0; c < p.in_channels; ++c) sum += __half2float(tap[c]) * __half2float(from[c]);
    }
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    conv_reference_kernel(const __grid_constant__ ConvParams p) {
  const std::int64_t count =
      static_cast<std::int64_t>(p.batch) * p.out_height * p.out_width * p.out_channels;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += step) {
    const int channel = static_cast<int>(i % p.out_channels);
    const std::int64_t pixel = i / p.out_channels;
    const int x = static_cast<int>(pixel % p.out_width);
    const int y = static_cast<int>(pixel / p.out_width % p.out_height);
    const int image = static_cast<int>(pixel / p.out_width / p.out_height);
    float value[1] = {convolve(p, image, y, x, channel) + (p.bias ? p.bias[channel] : 0.0f)};
    cuda::activate(value, p.activation);
    static_cast<__half*>(p.output)[pixel * p.output_stride + channel] = __float2half_rn(value[0]);
  }
}

}  // namespace

void launch_conv_reference(const ConvParams& params, cudaStream_t stream) {
  const std::int64_t count = static_cast<std::int64_t>(params.pixels()) * params.out_channels;
  const std::int64_t blocks = (count + kThreads - 1) / kThreads;
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks < (1 << 20) ? blocks : (1 << 20)));
  shape.block = dim3(kThreads);
  shape.overlapped = false;
  cuda::launch(reinterpret_cast<const void*>(&conv_reference_kernel), shape, params, stream);
}

}  // namespace peregrine::bench
