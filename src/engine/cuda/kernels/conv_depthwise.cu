// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// One filter a channel: nothing for tensor cores, so what counts is bytes and loads in flight. A
// thread owns eight channels of a short run of pixels in a row and reads each input pixel once.
namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRun = 4;  // pixels of one thread

template <int Kernel, int Stride, int Run>
__global__ void __launch_bounds__(kThreads)
    conv_depthwise_kernel(const __grid_constant__ ConvParams p) {
  constexpr int kInputs = (Run - 1) * Stride + Kernel;
  let_next_kernel_start();
  const int chunks = p.groups / 8;
  const int runs = (p.out_width + Run - 1) / Run;
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int channel = index % chunks * 8;
  const int run = index / chunks;
  const int x = run % runs * Run;
  const int row = run / runs;  // counts rows of all pictures
  const int y = row % p.out_height, image = row / p.out_height;
  if (image >= p.batch) return;

  float sum[Run][8];
#pragma unroll
  for (int c = 0; c < 8; ++c) {
    const float bias = p.bias ? p.bias[channel + c] : 0.0f;
#pragma unroll
    for (int i = 0; i < Run; ++i) sum[i][c] = bias;
  }
  wait_for_previous_kernel();
  const ConvSource& source = p.source[0];
  const __half* picture = static_cast<const __half*>(source.data) + channel;
  const __half* weight = static_cast<const __half*>(p.weight) + channel;
#pragma unroll
  for (int ky = 0; ky < Kernel; ++ky) {
    const int from_y = y * p.stride_y - p.pad_top + ky;
    if (from_y < 0 || from_y >= p.in_height) continue;
    const std::int64_t line = static_cast<std::int64_t>(image * p.in_height + from_y) * p.in_width;
    Half8 pixels[kInputs];
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
      const int from_x = x * Stride - p.pad_left + i;
      pixels[i] = Half8{};
      if (from_x >= 0 && from_x < p.in_width) {
        pixels[i] =
            *reinterpret_cast<const Half8*>(picture + (line + from_x) * source.pixel_stride);
      }
    }
#pragma unroll
    for (int kx = 0; kx < Kernel; ++kx) {
      float tap[8];
      to_floats(*reinterpret_cast<const Half8*>(weight + (ky * Kernel + kx) * p.groups), tap);
#pragma unroll
      for (int i = 0; i < Run; ++i) {
        float value[8];
        to_floats(pixels[i * Stride + kx], value);
#pragma unroll
        for (int c = 0; c < 8; ++c) sum[i][c] = fmaf(value[c], tap[c], sum[i][c]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < Run; ++i) {
    if (x + i >= p.out_width) break;
    const std::int64_t pixel = static_cast<std::int64_t>(row) * p.out_width + x + i;
    float add[8] = {};
    if (p.residual) {
      to_floats(*reinterpret_cast<const Half8*>(static_cast<const __half*>(p.residual) +
                                                pixel * p.residual_stride + channel),
                add);
    }
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      sum[i][c] = p.residual_before_activation ? activate(sum[i][c] + add[c], p.activation)
                                               : activate(sum[i][c], p.activation) + add[c];
    }
    *reinterpret_cast<Half8*>(static_cast<__half*>(p.output) + pixel * p.output_stride + channel) =
        to_half8(sum[i]);
  }
}

template <int Kernel, int Stride>
const void* depthwise_kernel() {
  return reinterpret_cast<const void*>(&conv_depthwise_kernel<Kernel, Stride, kRun>);
}

const void* find_kernel(const ConvParams& p) {
  if (p.kernel_height != p.kernel_width || p.stride_y != p.stride_x) return nullptr;
  if (p.kernel_height == 3 && p.stride_x == 1) return depthwise_kernel<3, 1>();
  if (p.kernel_height == 3 && p.stride_x == 2) return depthwise_kernel<3, 2>();
  if (p.kernel_height == 5 && p.stride_x == 1) return depthwise_kernel<5, 1>();
  if (p.kernel_height == 5 && p.stride_x == 2) return depthwise_kernel<5, 2>();
  if (p.kernel_height == 7 && p.stride_x == 1) return depthwise_kernel<7, 1>();
  return nullptr;
}

}  // namespace

bool conv_depthwise_supports(const ConvParams& p) {
  return p.in_channels == 1 && p.out_channels == 1 && p.groups % 8 == 0 && p.dilation_x == 1 &&
         p.dilation_y == 1 && p.source[1].channels == 0 && p.source[0].upsample_shift == 0 &&
         p.source[0].pixel_stride % 8 == 0 && p.output_stride % 8 == 0 &&
         p.residual_stride % 8 == 0 && !p.output_fp32 && find_kernel(p) != nullptr;
}

void launch_conv_depthwise(const ConvParams& p, bool overlapped, cudaStream_t stream) {
  const int work = p.batch * p.out_height * ceil_div(p.out_width, kRun) * (p.groups / 8);
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(work, kThreads)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(find_kernel(p), shape, p, stream);
}

}  // namespace peregrine::cuda
