// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// The first convolution, on pictures as the caller gives them: three planes of FP32, or pixels of
// four halves. Reading them here saves a pass that would only change layout and type. A block keeps
// its patch of the picture in shared memory, gathers the left matrix's fragments from there, and
// multiplies on tensor cores. Kernel size and stride are compiled in: a stem does little work for
// each pixel, so divisions for addresses would be most of it.
namespace peregrine::cuda {
namespace {

constexpr int kPlanes = 3, kPixelHalves = 4;
constexpr int kTileX = 32, kTileY = 8;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRowTiles = kTileX * kTileY / 16 / kWarps;  // m16 tiles of one warp

/// A block's patch of three FP32 planes. K = plane, tap y, tap x, padded to 16s with zero weights.
template <int Kernel, int Stride>
struct PlanesPatch {
  using Element = float;
  static constexpr int kWidth = (kTileX - 1) * Stride + Kernel;
  static constexpr int kHeight = (kTileY - 1) * Stride + Kernel;
  static constexpr int kRows = kPlanes * kHeight;
  /// Four floats each; a row may start up to three floats early, to be aligned.
  static constexpr int kPixelsPerChunk = 4;
  static constexpr int kChunks = (3 + kWidth + 3) / 4;
  static constexpr int kPitch = kChunks * 4;
  static constexpr int kPixel = 1;  ///< elements from one pixel to the next
  static constexpr int kReduction = kPlanes * Kernel * Kernel;
  static constexpr int kPadded = (kReduction + 15) / 16 * 16;

  /// Where K's k-th element lies, from the first one of a pixel.
  static __device__ __forceinline__ int offset(int k) {
    if (k >= kReduction) return 0;  // its weight is zero
    const int plane = k / (Kernel * Kernel), tap = k % (Kernel * Kernel);
    return (plane * kHeight + tap / Kernel) * kPitch + tap % Kernel;
  }
  /// Elements k and k + 1, k even, of a pixel.
  static __device__ __forceinline__ std::uint32_t pair(const float* pixel, int first, int second) {
    const __half2 pair = __floats2half2_rn(pixel[first], pixel[second]);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
  static __device__ __forceinline__ std::int64_t image_elements(const ConvParams& p) {
    return static_cast<std::int64_t>(kPlanes) * p.in_height * p.in_width;
  }
  /// Brings the patch to shared memory, zeros outside the picture. `x` is a multiple of 4.
  static __device__ __forceinline__ void copy(float* patch, const float* planes,
                                              const ConvParams& p, int y, int x) {
    const bool aligned = p.in_width % 4 == 0;
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunks; i += kThreads) {
      const int row = i / kChunks, column = i % kChunks * 4;
      const int plane = row / kHeight;
      const int from_y = y + row % kHeight, from_x = x + column;
      const bool inside = from_y >= 0 && from_y < p.in_height;
      const float* from =
          planes + (static_cast<std::int64_t>(plane) * p.in_height + from_y) * p.in_width + from_x;
      const std::uint32_t to = shared_address(patch + row * kPitch + column);
      if (aligned) {
        copy_16_async(to, from, inside && from_x >= 0 && from_x < p.in_width);
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          copy_4_async(to + j * 4, from + j, inside && from_x + j >= 0 && from_x + j < p.in_width);
        }
      }
    }
  }
};

/// A block's patch of pixels of four halves. K = tap y, tap x, channel: two neighbours of K lie
/// side by side, and the 32 reads of a warp cover 32 banks.
template <int Kernel, int Stride>
struct PixelsPatch {
  using Element = __half;
  static constexpr int kWidth = (kTileX - 1) * Stride + Kernel;
  static constexpr int kRows = (kTileY - 1) * Stride + Kernel;
  /// A row may start one pixel early, to be aligned.
  static constexpr int kPixelsPerChunk = 2;
  static constexpr int kChunks = (1 + kWidth + 1) / 2;
  static constexpr int kPixel = kPixelHalves;
  static constexpr int kPitch = kChunks * kPixelsPerChunk * kPixel;
  static constexpr int kReduction = kPixelHalves * Kernel * Kernel;
  static constexpr int kPadded = (kReduction + 15) / 16 * 16;

  static __device__ __forceinline__ int offset(int k) {
    if (k >= kReduction) return 0;
    const int tap = k / kPixelHalves;
    return tap / Kernel * kPitch + tap % Kernel * kPixel + k % kPixelHalves;
  }
  static __device__ __forceinline__ std::uint32_t pair(const __half* pixel, int first, int) {
    return *reinterpret_cast<const std::uint32_t*>(pixel + first);
  }
  static __device__ __forceinline__ std::int64_t image_elements(const ConvParams& p) {
    return static_cast<std::int64_t>(p.in_height) * p.in_width * kPixel;
  }
  /// `x` and the picture's width are even.
  static __device__ __forceinline__ void copy(__half* patch, const __half* picture,
                                              const ConvParams& p, int y, int x) {
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunks; i += kThreads) {
      const int row = i / kChunks, column = i % kChunks * kPixelsPerChunk;
      const int from_y = y + row, from_x = x + column;
      const bool inside = from_y >= 0 && from_y < p.in_height && from_x >= 0 && from_x < p.in_width;
      copy_16_async(shared_address(patch + row * kPitch + column * kPixel),
                    picture + (static_cast<std::int64_t>(from_y) * p.in_width + from_x) * kPixel,
                    inside);
    }
  }
};

/// `Columns` = n-tiles of 8 output channels. Column 2t+e of n-tile j is channel t*2*Columns + 2j +
/// e, so that each thread of a quad holds neighbouring channels and the quad stores whole sectors.
template <typename Patch, int Stride, int Columns>
__global__ void __launch_bounds__(kThreads) conv_stem_kernel(const __grid_constant__ ConvParams p) {
  using Element = typename Patch::Element;
  __shared__ __align__(16) Element patch[Patch::kRows * Patch::kPitch];
  let_next_kernel_start();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int quad = lane / 4, in_quad = lane % 4;
  const int block_channel = static_cast<int>(blockIdx.y) * Columns * 8;
  const int channel = block_channel + in_quad * 2 * Columns;  // first of this thread's
  const int tile_x = static_cast<int>(blockIdx.x) * kTileX;
  const int tile_y = static_cast<int>(blockIdx.z) % p.stem_tiles_y * kTileY;
  const int image = static_cast<int>(blockIdx.z) / p.stem_tiles_y;

  float bias[2 * Columns];
#pragma unroll
  for (int j = 0; j < 2 * Columns; ++j) bias[j] = p.bias ? p.bias[channel + j] : 0.0f;
  // Row `quad` of n-tile j of the right matrix.
  const __half* weight[Columns];
#pragma unroll
  for (int j = 0; j < Columns; ++j) {
    const int n = block_channel + quad / 2 * 2 * Columns + 2 * j + quad % 2;
    weight[j] = static_cast<const __half*>(p.weight) + n * Patch::kPadded + in_quad * 2;
  }
  wait_for_previous_kernel();
  const Element* picture =
      static_cast<const Element*>(p.source[0].data) + image * Patch::image_elements(p);
  const int from_y = tile_y * Stride - p.pad_top, from_x = tile_x * Stride - p.pad_left;
  const int lead = from_x & (Patch::kPixelsPerChunk - 1);
  Patch::copy(patch, picture, p, from_y, from_x - lead);
  commit_copies();
  wait_copies<0>();
  __syncthreads();

  // Pixels of this thread: rows `quad` and `quad + 8` of each of the warp's m16 tiles.
  const Element* pixel[kRowTiles][2];
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = (warp * kRowTiles + i) * 16 + quad + h * 8;
      pixel[i][h] = patch + m / kTileX * Stride * Patch::kPitch +
                    (m % kTileX * Stride + lead) * Patch::kPixel;
    }
  }
  float sum[kRowTiles][Columns][4] = {};
#pragma unroll 2
  for (int k = 0; k < Patch::kPadded; k += 16) {
    std::uint32_t b[Columns][2];
#pragma unroll
    for (int j = 0; j < Columns; ++j) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        b[j][h] = *reinterpret_cast<const std::uint32_t*>(weight[j] + k + h * 8);
      }
    }
    int offset[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) offset[i] = Patch::offset(k + i / 2 * 8 + in_quad * 2 + i % 2);
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
      std::uint32_t a[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        a[r] = Patch::pair(pixel[i][r % 2], offset[r / 2 * 2], offset[r / 2 * 2 + 1]);
      }
#pragma unroll
      for (int j = 0; j < Columns; ++j) multiply_16x8x16(sum[i][j], a, b[j][0], b[j][1]);
    }
  }

#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = (warp * kRowTiles + i) * 16 + quad + h * 8;
      const int y = tile_y + m / kTileX, x = tile_x + m % kTileX;
      if (y >= p.out_height || x >= p.out_width) continue;
      __half* to = static_cast<__half*>(p.output) +
                   (static_cast<std::int64_t>(image * p.out_height + y) * p.out_width + x) *
                       p.output_stride +
                   channel;
      float value[2 * Columns];
#pragma unroll
      for (int j = 0; j < 2 * Columns; ++j) value[j] = sum[i][j / 2][h * 2 + j % 2] + bias[j];
      activate(value, p.activation);
      __align__(16) __half2 packed[Columns];
#pragma unroll
      for (int j = 0; j < Columns; ++j) {
        packed[j] = __floats2half2_rn(value[2 * j], value[2 * j + 1]);
      }
      if constexpr (Columns == 2) {
        *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(packed);
      } else {
#pragma unroll
        for (int j = 0; j < Columns; j += 4) {
          *reinterpret_cast<uint4*>(to + 2 * j) = *reinterpret_cast<const uint4*>(packed + j);
        }
      }
    }
  }
}

/// Output channels of one block.
int block_channels(const ConvParams& p) {
  return p.out_channels % 64 == 0 ? 64 : p.out_channels % 32 == 0 ? 32 : 16;
}

template <typename Patch, int Stride>
const void* kernel_of(int channels) {
  const auto address = [](auto* kernel) { return reinterpret_cast<const void*>(kernel); };
  switch (channels) {
    case 16: return address(&conv_stem_kernel<Patch, Stride, 2>);
    case 32: return address(&conv_stem_kernel<Patch, Stride, 4>);
    default: return address(&conv_stem_kernel<Patch, Stride, 8>);
  }
}

bool reads_pixels(const ConvParams& p) { return p.source[0].pixel_stride == kPixelHalves; }

template <int Kernel, int Stride>
const void* kernel_of(const ConvParams& p) {
  return reads_pixels(p) ? kernel_of<PixelsPatch<Kernel, Stride>, Stride>(block_channels(p))
                         : kernel_of<PlanesPatch<Kernel, Stride>, Stride>(block_channels(p));
}

const void* find_kernel(const ConvParams& p) {
  if (p.kernel_height != p.kernel_width || p.stride_x != 2 || p.stride_y != 2) return nullptr;
  switch (p.kernel_height) {
    case 3: return kernel_of<3, 2>(p);
    case 6: return kernel_of<6, 2>(p);
    case 7: return kernel_of<7, 2>(p);
    default: return nullptr;
  }
}

}  // namespace

bool conv_stem_supports(const ConvParams& p) {
  const bool picture = reads_pixels(p) ? p.in_channels == kPixelHalves && p.in_width % 2 == 0
                                       : p.in_channels == kPlanes;
  return picture && p.groups == 1 && p.out_channels % 16 == 0 && !p.residual && !p.output_fp32 &&
         p.source[1].channels == 0 && p.source[0].upsample_shift == 0 && p.dilation_x == 1 &&
         p.dilation_y == 1 && p.output_stride % 8 == 0 && p.pad_left <= p.kernel_width &&
         find_kernel(p) != nullptr;
}

int conv_stem_padded_reduction(const ConvParams& p) { return (p.reduction() + 15) / 16 * 16; }

void launch_conv_stem(ConvParams p, bool overlapped, cudaStream_t stream) {
  p.stem_tiles_y = ceil_div(p.out_height, kTileY);
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(p.out_width, kTileX)),
                    static_cast<unsigned>(p.out_channels / block_channels(p)),
                    static_cast<unsigned>(p.batch * p.stem_tiles_y));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(find_kernel(p), shape, p, stream);
}

}  // namespace peregrine::cuda
