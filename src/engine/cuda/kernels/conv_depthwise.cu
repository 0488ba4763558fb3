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

__device__ __forceinline__ void add_halves(float (&sum)[8], const __half* more) {
  float values[8];
  to_floats(*reinterpret_cast<const Half8*>(more), values);
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] += values[i];
}

/// `Run` pixels a thread. `Eager` has a whole 3x3 window and its taps in flight at once: least
/// latency where the device is half empty, too many registers where it is full.
template <int Kernel, int Stride, int Run, bool Eager>
__global__ void __launch_bounds__(kThreads, Eager ? 1 : 5)
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

  const __half* weight = static_cast<const __half*>(p.weight) + channel;
  // Taps are weights: fetched while the previous kernel ends.
  constexpr bool kKeepTaps = Eager && Kernel == 3;
  Half8 taps[kKeepTaps ? Kernel * Kernel : 1];
  if constexpr (kKeepTaps) {
#pragma unroll
    for (int i = 0; i < Kernel * Kernel; ++i) {
      taps[i] = *reinterpret_cast<const Half8*>(weight + i * p.groups);
    }
  }
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
  constexpr int kRows = Eager && Kernel == 3 ? 3 : 1;
#pragma unroll 1
  for (int first = 0; first < Kernel; first += kRows) {
    Half8 pixels[kRows][kInputs];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int from_y = y * Stride - p.pad_top + first + i;
      const bool inside = from_y >= 0 && from_y < p.in_height;
      const std::int64_t line =
          static_cast<std::int64_t>(image * p.in_height + from_y) * p.in_width;
#pragma unroll
      for (int j = 0; j < kInputs; ++j) {
        const int from_x = x * Stride - p.pad_left + j;
        pixels[i][j] = Half8{};
        if (inside && from_x >= 0 && from_x < p.in_width) {
          pixels[i][j] =
              *reinterpret_cast<const Half8*>(picture + (line + from_x) * source.pixel_stride);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int kx = 0; kx < Kernel; ++kx) {
        const int tap_index = (first + i) * Kernel + kx;
        float tap[8];
        if constexpr (kKeepTaps) {
          to_floats(taps[tap_index], tap);
        } else {
          to_floats(*reinterpret_cast<const Half8*>(weight + tap_index * p.groups), tap);
        }
#pragma unroll
        for (int j = 0; j < Run; ++j) {
          float value[8];
          to_floats(pixels[i][j * Stride + kx], value);
#pragma unroll
          for (int c = 0; c < 8; ++c) sum[j][c] = fmaf(value[c], tap[c], sum[j][c]);
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < Run; ++i) {
    if (x + i >= p.out_width) break;
    const std::int64_t pixel = static_cast<std::int64_t>(row) * p.out_width + x + i;
    const __half* residual = static_cast<const __half*>(p.residual);
    if (residual) residual += pixel * p.residual_stride + channel;
    if (residual && p.residual_before_activation) add_halves(sum[i], residual);
    activate(sum[i], p.activation);
    if (residual && !p.residual_before_activation) add_halves(sum[i], residual);
    *reinterpret_cast<Half8*>(static_cast<__half*>(p.output) + pixel * p.output_stride + channel) =
        to_half8(sum[i]);
  }
}

template <int Run, bool Eager>
const void* find_kernel(const ConvParams& p) {
  const auto address = [](auto* kernel) { return reinterpret_cast<const void*>(kernel); };
  if (p.kernel_height != p.kernel_width || p.stride_y != p.stride_x) return nullptr;
  switch (p.kernel_height * 10 + p.stride_x) {
    case 31: return address(&conv_depthwise_kernel<3, 1, Run, Eager>);
    case 32: return address(&conv_depthwise_kernel<3, 2, Run, Eager>);
    case 51: return address(&conv_depthwise_kernel<5, 1, Run, Eager>);
    case 52: return address(&conv_depthwise_kernel<5, 2, Run, Eager>);
    case 71: return address(&conv_depthwise_kernel<7, 1, Run, Eager>);
    default: return nullptr;
  }
}

int threads_for(const ConvParams& p, int run) {
  return p.batch * p.out_height * ceil_div(p.out_width, run) * (p.groups / 8);
}

}  // namespace

bool conv_depthwise_supports(const ConvParams& p) {
  return p.in_channels == 1 && p.out_channels == 1 && p.groups % 8 == 0 && p.dilation_x == 1 &&
         p.dilation_y == 1 && p.source[1].channels == 0 && p.source[0].upsample_shift == 0 &&
         p.source[0].pixel_stride % 8 == 0 && p.output_stride % 8 == 0 &&
         p.residual_stride % 8 == 0 && !p.output_fp32 && find_kernel<4, false>(p) != nullptr;
}

void launch_conv_depthwise(const ConvParams& p, bool overlapped, cudaStream_t stream) {
  // Four pixels a thread read least; where that leaves the device half empty, two are quicker.
  constexpr int kBusy = 132 * 256;
  const bool longer = threads_for(p, 4) >= kBusy;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(threads_for(p, longer ? 4 : 2), kThreads)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(longer ? find_kernel<4, false>(p) : find_kernel<2, true>(p), shape, p, stream);
}

}  // namespace peregrine::cuda
