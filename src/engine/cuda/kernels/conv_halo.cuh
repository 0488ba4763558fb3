// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/conv_halo.h"
#include "engine/cuda/kernels/instructions.cuh"

// What the two halo kernels share: where a tile lies, how its input comes to shared memory, and how
// sums become a result.
namespace peregrine::cuda {

/// A tile's place: the image and its first output pixel.
struct TilePlace {
  int image, y, x;

  __device__ TilePlace(const ConvHaloParams& p, int tile, int tile_height, int tile_width) {
    const int row = p.by_tiles_x.divide(tile);
    image = p.by_tiles_y.divide(row);
    x = (tile - row * static_cast<int>(p.by_tiles_x.divisor)) * tile_width;
    y = (row - image * static_cast<int>(p.by_tiles_y.divisor)) * tile_height;
  }
};

/// The input pixels of a tile in shared memory, `Chunks` chunks of eight channels each, zeros
/// outside the picture. Chunks are permuted (xor) so that eight neighbours in a row hit eight bank
/// groups; with 64 channels that is the tensor cores' 128-byte swizzle. At stride 2 the even
/// columns of a row stand before the odd ones: what neighbouring outputs read is neighbouring
/// again.
template <int Chunks, int Stride, int TileHeight, int TileWidth>
struct Halo {
  static constexpr int kHeight = (TileHeight - 1) * Stride + 3;
  static constexpr int kColumns = (TileWidth - 1) * Stride + 3;
  static constexpr int kEven = (kColumns + 1) / 2;
  static constexpr int kPitch = Stride == 1 ? kColumns : 2 * kEven;  // pixels
  static constexpr int kBytes = kHeight * kPitch * Chunks * 16;

  __device__ static __forceinline__ int position(int row, int column) {
    return row * kPitch + (Stride == 1 ? column : column % 2 * kEven + column / 2);
  }
  /// Byte offset of a chunk of the pixel at `position`.
  __device__ static __forceinline__ int offset(int position, int chunk) {
    static_assert(Chunks == 1 || Chunks == 2 || Chunks == 4 || Chunks == 8);
    constexpr int kShift = Chunks == 8 ? 0 : Chunks == 4 ? 1 : 2;
    return (position * Chunks + (chunk ^ ((position >> kShift) & (Chunks - 1)))) * 16;
  }

  /// Starts all copies, dealt out to `threads` threads of which this is number `thread`.
  __device__ static __forceinline__ void load(const ConvParams& p, const TilePlace& tile,
                                              std::uint32_t to, int thread, int threads) {
    const int first_y = tile.y * Stride - p.pad_top, first_x = tile.x * Stride - p.pad_left;
    const int stride = p.source[0].pixel_stride;
    const __half* image = static_cast<const __half*>(p.source[0].data) +
                          static_cast<std::int64_t>(tile.image) * p.in_height * p.in_width * stride;
#pragma unroll 4
    for (int i = thread; i < kHeight * kColumns * Chunks; i += threads) {
      const int chunk = i % Chunks, pixel = i / Chunks;
      const int row = pixel / kColumns, column = pixel % kColumns;
      const int y = first_y + row, x = first_x + column;
      const bool inside = static_cast<unsigned>(y) < static_cast<unsigned>(p.in_height) &&
                          static_cast<unsigned>(x) < static_cast<unsigned>(p.in_width);
      copy_16_async<false>(to + offset(position(row, column), chunk),
                           image + (y * p.in_width + x) * stride + chunk * 8, inside);
    }
  }
};

/// Bias, activation and residual of 16 output pixels of a warp, and their stores. The pixels are
/// `Width` wide from (y, x) on; `sum[j]` holds what an m16n8 product holds, for columns 8j. `bias`
/// and `staging` (16 rows of `kStagingPitch` halves, this warp's own) lie in shared memory.
template <int N, int Width>
struct PixelWriter {
  static constexpr int kStagingPitch = N + 8;
  static constexpr int kStagingBytes = 16 * kStagingPitch * 2;

  __device__ static __forceinline__ void write(const ConvParams& p, float (&sum)[N / 8][4],
                                               int image, int y, int x, int first_channel,
                                               const float* bias, __half* staging) {
    const int lane = static_cast<int>(threadIdx.x) % 32, pair = lane % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int pixel = lane / 4 + half * 8;
      float value[N / 4];
#pragma unroll
      for (int j = 0; j < N / 8; ++j) {
        const float2 both = *reinterpret_cast<const float2*>(bias + j * 8 + pair);
        value[2 * j] = sum[j][2 * half] + both.x;
        value[2 * j + 1] = sum[j][2 * half + 1] + both.y;
      }
      if (p.residual && p.residual_before_activation) {
        add_residual(p, value, image, y + pixel / Width, x + pixel % Width, first_channel + pair);
      }
      activate(value, p.activation);
      if (p.residual && !p.residual_before_activation) {
        add_residual(p, value, image, y + pixel / Width, x + pixel % Width, first_channel + pair);
      }
#pragma unroll
      for (int j = 0; j < N / 8; ++j) {
        *reinterpret_cast<__half2*>(staging + pixel * kStagingPitch + j * 8 + pair) =
            __floats2half2_rn(value[2 * j], value[2 * j + 1]);
      }
    }
    __syncwarp();
    const std::int64_t image_stride =
        p.output_image_stride != 0
            ? p.output_image_stride
            : static_cast<std::int64_t>(p.out_height) * p.out_width * p.output_stride;
    __half* output = static_cast<__half*>(p.output) + image * image_stride + first_channel;
#pragma unroll
    for (int i = lane; i < 16 * (N / 8); i += 32) {
      const int pixel = i / (N / 8), channel = i % (N / 8) * 8;
      const int to_y = y + pixel / Width, to_x = x + pixel % Width;
      if (to_y >= p.out_height || to_x >= p.out_width || first_channel + channel >= p.out_channels)
        continue;
      *reinterpret_cast<Half8*>(
          output + static_cast<std::int64_t>(to_y * p.out_width + to_x) * p.output_stride +
          channel) = *reinterpret_cast<const Half8*>(staging + pixel * kStagingPitch + channel);
    }
    __syncwarp();
  }

 private:
  __device__ static __forceinline__ void add_residual(const ConvParams& p, float (&value)[N / 4],
                                                      int image, int y, int x, int channel) {
    if (y >= p.out_height || x >= p.out_width) return;
    const __half* from =
        static_cast<const __half*>(p.residual) +
        (static_cast<std::int64_t>(image) * p.out_height * p.out_width + y * p.out_width + x) *
            p.residual_stride +
        channel;
#pragma unroll
    for (int j = 0; j < N / 8; ++j) {
      if (channel + j * 8 >= p.out_channels) break;
      const float2 more = __half22float2(*reinterpret_cast<const __half2*>(from + j * 8));
      value[2 * j] += more.x;
      value[2 * j + 1] += more.y;
    }
  }
};

/// Bias of `N` output channels from `first` on, zeros behind the last.
template <int N>
__device__ __forceinline__ void load_bias(const ConvParams& p, int first, float* bias) {
  static_assert(N <= 128);
  if (const int i = static_cast<int>(threadIdx.x); i < N) {
    bias[i] = p.bias && first + i < p.out_channels ? p.bias[first + i] : 0.0f;
  }
}

}  // namespace peregrine::cuda
