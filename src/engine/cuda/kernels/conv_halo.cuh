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
/// again. Where rows are a multiple of `Align` = 8 pixels long, all rows of a column have the same
/// permutation.
template <int Chunks, int Stride, int TileHeight, int TileWidth, int Align>
struct Halo {
  static constexpr int kHeight = (TileHeight - 1) * Stride + 3;
  static constexpr int kColumns = (TileWidth - 1) * Stride + 3;
  static constexpr int kEven = (kColumns + 1) / 2;
  static constexpr int kPacked = Stride == 1 ? kColumns : 2 * kEven;
  static constexpr int kPitch = (kPacked + Align - 1) / Align * Align;  // pixels
  static constexpr int kRowBytes = kPitch * Chunks * 16;
  static constexpr int kBytes = kHeight * kRowBytes;

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
/// `Width` wide from (y, x) on; `staging` (16 rows of `kPitch` halves in shared memory) is theirs
/// alone.
template <int N, int Width>
class PixelWriter {
 public:
  static constexpr int kPitch = N + 8;
  static constexpr int kBytes = 16 * kPitch * 2;

  __device__ PixelWriter(const ConvParams& p, const TilePlace& tile, int row, int column,
                         int first_channel, __half* staging)
      : p_(p),
        y_(tile.y + row),
        x_(tile.x + column),
        first_channel_(first_channel),
        first_pixel_(static_cast<std::int64_t>(tile.image) * p.out_height * p.out_width),
        image_(tile.image),
        staging_(staging) {}

  /// Starts to bring the residual to `staging`, if there is one.
  __device__ __forceinline__ void load_residual() const {
    if (!p_.residual) return;
    const __half* residual = static_cast<const __half*>(p_.residual) +
                             first_pixel_ * p_.residual_stride + first_channel_;
    for_each_chunk([&](int pixel, int channel, bool inside) {
      copy_16_async<false>(shared_address(staging_ + pixel * kPitch + channel),
                           residual + place(pixel) * p_.residual_stride + channel, inside);
    });
  }

  /// `sum[j]` holds what an m16n8 product holds, for columns 8j; `bias` lies in shared memory. The
  /// copies of `load_residual` have arrived.
  __device__ __forceinline__ void write(float (&sum)[N / 8][4], const float* bias) const {
    const int lane = static_cast<int>(threadIdx.x) % 32, pair = lane % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      __half2* mine = reinterpret_cast<__half2*>(staging_ + (lane / 4 + half * 8) * kPitch + pair);
      float value[N / 4];
#pragma unroll
      for (int j = 0; j < N / 8; ++j) {
        const float2 both = *reinterpret_cast<const float2*>(bias + j * 8 + pair);
        value[2 * j] = sum[j][2 * half] + both.x;
        value[2 * j + 1] = sum[j][2 * half + 1] + both.y;
      }
      if (p_.residual && p_.residual_before_activation) add(value, mine);
      activate(value, p_.activation);
      if (p_.residual && !p_.residual_before_activation) add(value, mine);
#pragma unroll
      for (int j = 0; j < N / 8; ++j)
        mine[j * 4] = __floats2half2_rn(value[2 * j], value[2 * j + 1]);
    }
    __syncwarp();
    const std::int64_t image = p_.output_image_stride != 0 ? image_ * p_.output_image_stride
                                                           : first_pixel_ * p_.output_stride;
    __half* output = static_cast<__half*>(p_.output) + image + first_channel_;
    for_each_chunk([&](int pixel, int channel, bool inside) {
      if (!inside) return;
      *reinterpret_cast<Half8*>(output + place(pixel) * p_.output_stride + channel) =
          *reinterpret_cast<const Half8*>(staging_ + pixel * kPitch + channel);
    });
    __syncwarp();
  }

 private:
  /// Deals out the eights of channels of all 16 pixels: `f(pixel, channel, inside the result)`.
  template <typename F>
  __device__ __forceinline__ void for_each_chunk(F&& f) const {
#pragma unroll
    for (int i = static_cast<int>(threadIdx.x) % 32; i < 2 * N; i += 32) {
      const int pixel = i / (N / 8), channel = i % (N / 8) * 8;
      f(pixel, channel,
        y_ + pixel / Width < p_.out_height && x_ + pixel % Width < p_.out_width &&
            first_channel_ + channel < p_.out_channels);
    }
  }
  /// Which pixel of the image it is.
  __device__ __forceinline__ std::int64_t place(int pixel) const {
    return (y_ + pixel / Width) * p_.out_width + x_ + pixel % Width;
  }
  __device__ static __forceinline__ void add(float (&value)[N / 4], const __half2* residual) {
#pragma unroll
    for (int j = 0; j < N / 8; ++j) {
      const float2 more = __half22float2(residual[j * 4]);
      value[2 * j] += more.x;
      value[2 * j + 1] += more.y;
    }
  }

  const ConvParams& p_;
  const int y_, x_, first_channel_;
  const std::int64_t first_pixel_, image_;
  __half* const staging_;
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
