// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// The first convolution: few input channels (three, as a rule), planar as the caller gives them,
// FP32 or FP16. Reading the planes here saves a pass that would only change layout and type. A
// block keeps its patch of the picture in shared memory as FP16, gathers the left matrix's
// fragments from there (K = channel, tap y, tap x, padded to 16s with zero weights), and multiplies
// on tensor cores.
namespace peregrine::cuda {
namespace {

constexpr int kTileX = 32, kTileY = 8;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRowTiles = kTileX * kTileY / 16 / kWarps;  // m16 tiles of one warp

struct StemLayout {
  int patch_width, patch_height, pitch;  // of the input patch; pitch in elements
  int k_padded, weight_pitch;

  __host__ __device__ explicit StemLayout(const ConvParams& p)
      : patch_width((kTileX - 1) * p.stride_x + (p.kernel_width - 1) * p.dilation_x + 1),
        patch_height((kTileY - 1) * p.stride_y + (p.kernel_height - 1) * p.dilation_y + 1),
        pitch(patch_width + 1),
        k_padded((p.in_channels * p.kernel_height * p.kernel_width + 15) / 16 * 16),
        weight_pitch(k_padded + 8) {}  // 8: rows of a fragment fall into different banks
  __host__ __device__ int patch_elements(int channels) const {
    return (channels * patch_height * pitch + 7) / 8 * 8;
  }
  __host__ __device__ int bytes(int channels, int n) const {
    return patch_elements(channels) * 4 + n * weight_pitch * 2 + k_padded * 4;
  }
};

/// Brings the block's patch of all planes to shared memory, zeros outside the picture.
template <typename Input>
__device__ __forceinline__ void copy_patch(Input* patch, const Input* picture, const ConvParams& p,
                                           const StemLayout& layout, int from_y, int from_x) {
  const int rows = p.in_channels * layout.patch_height;
  // Threads walk the patch row by row as one line; a step of kThreads crosses at most a few rows.
  int row = static_cast<int>(threadIdx.x) / layout.patch_width;
  int i = static_cast<int>(threadIdx.x) - row * layout.patch_width;
#pragma unroll 4
  while (row < rows) {
    const int channel = row / layout.patch_height;
    const int y = from_y + row - channel * layout.patch_height, x = from_x + i;
    const bool valid = y >= 0 && y < p.in_height && x >= 0 && x < p.in_width;
    const Input* source =
        picture +
        (valid ? (static_cast<std::int64_t>(channel) * p.in_height + y) * p.in_width + x : 0);
    Input* to = patch + row * layout.pitch + i;
    if constexpr (sizeof(Input) == 4) {
      copy_4_async(shared_address(to), source, valid);
    } else {
      *to = valid ? *source : Input(0.0f);
    }
    i += kThreads;
    while (i >= layout.patch_width) {
      i -= layout.patch_width;
      ++row;
    }
  }
  commit_copies();
  wait_copies<0>();
}

__device__ __forceinline__ __half2 to_half2(float a, float b) { return __floats2half2_rn(a, b); }
__device__ __forceinline__ __half2 to_half2(__half a, __half b) { return __halves2half2(a, b); }

/// Columns = n-tiles of 8 output channels. Column 2t+e of n-tile j is channel t*2*Columns + 2j + e,
/// so that each thread of a quad holds neighbouring channels and the quad stores whole sectors.
template <typename Input, int Columns>
__global__ void __launch_bounds__(kThreads) conv_stem_kernel(const __grid_constant__ ConvParams p) {
  constexpr int kChannels = Columns * 8;
  extern __shared__ __align__(16) unsigned char shared[];
  let_next_kernel_start();
  const StemLayout layout(p);
  Input* patch = reinterpret_cast<Input*>(shared);
  __half* weights = reinterpret_cast<__half*>(patch + layout.patch_elements(p.in_channels));
  int* offsets = reinterpret_cast<int*>(weights + kChannels * layout.weight_pitch);

  const int n_first = static_cast<int>(blockIdx.y) * kChannels;
  const int tiles_x = (p.out_width + kTileX - 1) / kTileX;
  const int tiles_y = (p.out_height + kTileY - 1) / kTileY;
  const int tile_x = static_cast<int>(blockIdx.x) % tiles_x * kTileX;
  const int tile_y = static_cast<int>(blockIdx.x) / tiles_x % tiles_y * kTileY;
  const int image = static_cast<int>(blockIdx.x) / tiles_x / tiles_y;
  const int taps = p.kernel_height * p.kernel_width;
  const int reduction = taps * p.in_channels;

  for (int i = static_cast<int>(threadIdx.x); i < kChannels * layout.k_padded; i += kThreads) {
    const int row = i / layout.k_padded, k = i % layout.k_padded;
    const int column = row % 8;
    const int n = n_first + column / 2 * 2 * Columns + row / 8 * 2 + column % 2;
    const bool valid = n < p.out_channels && k < reduction;
    weights[row * layout.weight_pitch + k] =
        valid ? static_cast<const __half*>(p.weight)[n * reduction + k] : __half(0.0f);
  }
  for (int k = static_cast<int>(threadIdx.x); k < layout.k_padded; k += kThreads) {
    const int channel = k / taps, ky = k % taps / p.kernel_width, kx = k % p.kernel_width;
    offsets[k] =
        k < reduction
            ? (channel * layout.patch_height + ky * p.dilation_y) * layout.pitch + kx * p.dilation_x
            : 0;
  }
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int quad = lane / 4, in_quad = lane % 4;
  const int channel = n_first + in_quad * 2 * Columns;
  float bias[2 * Columns];
#pragma unroll
  for (int j = 0; j < 2 * Columns; ++j) {
    bias[j] = p.bias && channel + j < p.out_channels ? p.bias[channel + j] : 0.0f;
  }
  wait_for_previous_kernel();
  const Input* picture =
      static_cast<const Input*>(p.source[0].data) +
      static_cast<std::int64_t>(image) * p.in_channels * p.in_height * p.in_width;
  const int from_y = tile_y * p.stride_y - p.pad_top, from_x = tile_x * p.stride_x - p.pad_left;
  copy_patch(patch, picture, p, layout, from_y, from_x);
  __syncthreads();

  // Pixels of this thread: rows `quad` and `quad + 8` of each of the warp's m16 tiles.
  const Input* pixel[kRowTiles][2];
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int m = (warp * kRowTiles + i) * 16 + quad + h * 8;
      pixel[i][h] = patch + m / kTileX * p.stride_y * layout.pitch + m % kTileX * p.stride_x;
    }
  }
  float sum[kRowTiles][Columns][4] = {};
  for (int k = 0; k < layout.k_padded; k += 16) {
    int offset[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) offset[i] = offsets[k + i / 2 * 8 + in_quad * 2 + i % 2];
    std::uint32_t b[Columns][2];
#pragma unroll
    for (int j = 0; j < Columns; ++j) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        b[j][h] = *reinterpret_cast<const std::uint32_t*>(
            weights + (j * 8 + quad) * layout.weight_pitch + k + h * 8 + in_quad * 2);
      }
    }
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
      std::uint32_t a[4];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const Input* from = pixel[i][r % 2];
        const __half2 pair = to_half2(from[offset[r / 2 * 2]], from[offset[r / 2 * 2 + 1]]);
        a[r] = *reinterpret_cast<const std::uint32_t*>(&pair);
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
      __half2 packed[Columns];
#pragma unroll
      for (int j = 0; j < Columns; ++j) {
        packed[j] = __floats2half2_rn(value[2 * j], value[2 * j + 1]);
      }
      // Output channels come in multiples of 2 * Columns or the last ones of a block are missing.
      if (channel + 2 * Columns <= p.out_channels) {
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
}

template <typename Input>
const void* find_kernel(int channels) {
  switch (channels) {
    case 16: return reinterpret_cast<const void*>(&conv_stem_kernel<Input, 2>);
    case 32: return reinterpret_cast<const void*>(&conv_stem_kernel<Input, 4>);
    default: return reinterpret_cast<const void*>(&conv_stem_kernel<Input, 8>);
  }
}

/// Output channels of one block: all of a narrow stem, 64 of a wide one.
int block_channels(int channels) { return channels <= 16 ? 16 : channels <= 32 ? 32 : 64; }

}  // namespace

bool conv_stem_supports(const ConvParams& p) {
  return p.groups == 1 && p.in_channels <= 4 && p.out_channels % 16 == 0 && !p.residual &&
         !p.output_fp32 && p.source[1].channels == 0 && p.source[0].upsample_shift == 0 &&
         p.output_stride % 8 == 0 && p.kernel_height <= 7 && p.kernel_width <= 7 &&
         StemLayout(p).bytes(p.in_channels, block_channels(p.out_channels)) <= 96 * 1024;
}

void launch_conv_stem(const ConvParams& p, bool half_input, bool overlapped, cudaStream_t stream) {
  const int channels = block_channels(p.out_channels);
  const void* kernel = half_input ? find_kernel<__half>(channels) : find_kernel<float>(channels);
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(p.batch * ceil_div(p.out_width, kTileX) *
                                          ceil_div(p.out_height, kTileY)),
                    static_cast<unsigned>(ceil_div(p.out_channels, channels)));
  shape.block = dim3(kThreads);
  shape.shared_bytes = StemLayout(p).bytes(p.in_channels, channels);
  shape.overlapped = overlapped;
  CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  shape.shared_bytes));
  launch(kernel, shape, p, stream);
}

}  // namespace peregrine::cuda
