// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/activation.h"
#include "engine/cuda/kernels/fast_divisor.h"

namespace peregrine::cuda {

/// One picture tensor that a convolution reads, NHWC, perhaps a slice of a wider one's channels.
struct ConvSource {
  const void* data = nullptr;
  int channels = 0;
  int pixel_stride = 0;  ///< elements from one pixel to the next: the channels of the whole tensor
  int height = 0;        ///< as stored
  int width = 0;
  int upsample_shift = 0;  ///< 1: read as if enlarged twice by nearest neighbour; 2: four times
};

/// A convolution with everything that is fused into it. Sizes are elements; `[batch, y, x,
/// channel]`. y = activation(conv(x) + bias) + residual, or activation(conv(x) + bias + residual).
struct ConvParams {
  /// Channel-wise concatenation of one or two tensors; the second's `channels` is 0 if there is
  /// one.
  ConvSource source[2];
  const void* weight = nullptr;  ///< [group][out channel][kernel y][kernel x][in channel]
  const float* bias = nullptr;   ///< one an output channel; may be null
  const void* residual = nullptr;
  int residual_stride = 0;  ///< elements from one pixel to the next
  void* output = nullptr;
  int output_stride = 0;  ///< elements from one pixel to the next
  /// Elements from one image to the next, where that is not all its pixels; else 0. The tile
  /// kernel only.
  std::int64_t output_image_stride = 0;
  /// Elements from one channel to the next: 1, or planes. The tile kernel only.
  std::int64_t output_channel_stride = 1;
  /// Where each pixel makes a block of pixels (a transposed convolution whose windows do not meet):
  /// the channels of one of them, and the block's size; else 0. Output channel n is channel
  /// n % block_channels of the block's pixel n / block_channels, row by row. Both output strides
  /// then count pixels of the enlarged picture; `output_image_stride` must be given. The tile
  /// kernel only.
  int block_channels = 0, block_width = 0, block_height = 0;
  std::int64_t output_row_stride = 0;
  int batch = 1;
  int in_height = 0, in_width = 0;  ///< after upsampling
  int in_channels = 0;              ///< of one group
  int out_height = 0, out_width = 0;
  int out_channels = 0;  ///< of one group
  int groups = 1;
  int kernel_height = 1, kernel_width = 1;
  int stride_y = 1, stride_x = 1;
  int pad_top = 0, pad_left = 0;
  int dilation_y = 1, dilation_x = 1;
  ActivationParams activation;
  bool residual_before_activation = false;
  bool output_fp32 = false;  ///< FP16 kernels only: store FP32, for what feeds thresholds
  // Set by the launchers.
  bool vector_store = false;  ///< 16-byte stores are aligned
  bool plain_source = false;  ///< one source, not enlarged: addresses are linear in the tap
  int steps_per_split = 0;
  /// What one step of K adds to a thread's position: channel chunks, taps along x, taps along y.
  int step_chunks = 0, step_x = 0, step_y = 0;
  FastDivisor by_image_pixels, by_out_width, by_n_tiles, by_chunks_per_tap, by_kernel_width;
  FastDivisor by_block_channels, by_block_width;
  int stem_tiles_y = 0;

  int pixels() const { return batch * out_height * out_width; }
  int reduction() const { return kernel_height * kernel_width * in_channels; }
};

/// One compiled tile shape of the implicit-GEMM kernel (FP16 operands, FP32 sums).
/// M counts output pixels, N output channels, K kernel taps times input channels.
struct ConvTile {
  const char* name;
  int m, n, k;  ///< of one block, and one step of its pipeline
  int slices;   ///< warps that share a tile's K and add up in shared memory
  int threads;
  int stages;
  int shared_bytes;
  bool needs_sm90a;  ///< warpgroup products: Hopper alone has them
  const void* kernel;
};

/// All tile shapes, small to large. The table is fixed at build time.
std::span<const ConvTile> conv_tiles();

/// Whether the implicit-GEMM kernel can run it: channels of a group in eights, 16-byte aligned
/// sources and indices that fit 31 bits. What it cannot, `launch_conv_strided` can.
bool conv_tile_supports(const ConvParams& params);

/// Whether results, residual and bias can be moved eight channels (16 bytes) at a time.
bool conv_stores_vectors(const ConvParams& params);

/// `splits` blocks of a cluster share one tile's K (needs sm_90 where it is more than 1; at most
/// 8).
void launch_conv_tile(const ConvTile& tile, ConvParams params, int splits, bool overlapped,
                      cudaStream_t stream);

/// One filter a channel (in_channels == out_channels == 1, `groups` channels), square kernels of 3,
/// 5 and 7, FP16. Its weights lie [kernel y][kernel x][channel].
bool conv_depthwise_supports(const ConvParams& params);
void launch_conv_depthwise(const ConvParams& params, bool overlapped, cudaStream_t stream);

/// The network's first convolution (3x3, 6x6 or 7x7, stride 2): `source[0].data`, packed and
/// 16-byte aligned, is planar [batch, 3, y, x] of FP32 with pixel_stride 0, or [batch, y, x, 4] of
/// FP16 with pixel_stride 4 and x even. Its weights are FP16 [out channel][K], padded with zeros to
/// `conv_stem_padded_reduction`; K = input channel, kernel y, kernel x, or kernel y, kernel x,
/// input channel.
bool conv_stem_supports(const ConvParams& params);
int conv_stem_padded_reduction(const ConvParams& params);
void launch_conv_stem(ConvParams params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
