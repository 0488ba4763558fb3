// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cooperative_groups.h>
#include <cuda_fp16.h>

#include "engine/cuda/kernels/activation.cuh"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/warpgroup.cuh"

// Convolution as a matrix product that is never laid out: row m of the left matrix is an output
// pixel, column k a kernel tap and input channel, read straight from the NHWC picture in chunks of
// eight channels (16 bytes), which lie within one tap. The right matrix is the weights, K
// contiguous.
//
// Shared memory holds `Stages` steps of K; chunks of a row are permuted (xor with the row) so that
// eight rows of one ldmatrix hit eight different bank groups. The sums of all K slices (warps of
// the block, then blocks of the cluster) meet in shared memory as FP32, where each thread picks up
// eight neighbouring channels of a pixel: bias, activation, residual and one 16-byte store.
namespace peregrine::cuda {

template <int M, int N, int K, int WarpsM, int WarpsN, int Slices, int Stages>
struct TileShape {
  static constexpr int kM = M, kN = N, kK = K, kSlices = Slices, kStages = Stages;
  static constexpr int kThreads = 32 * WarpsM * WarpsN * Slices;
  static constexpr int kWarpsN = WarpsN;
  static constexpr int kWarpM = M / WarpsM, kWarpN = N / WarpsN;
  static constexpr int kChunks = K / 8;  // 16-byte chunks in one row of a step
  // Few output channels mean few input channels, whose neighbouring taps then still lie in L1.
  static constexpr bool kThroughL1 = N <= 16;
  static constexpr int kRowsPerPass = kThreads / kChunks;
  static constexpr int kPassesM = (M + kRowsPerPass - 1) / kRowsPerPass;
  static constexpr int kPassesN = (N + kRowsPerPass - 1) / kRowsPerPass;
  static constexpr int kStageBytes = (M + N) * K * 2;
  // 8 floats of padding: the 8-byte writes of a half-warp (4 rows x 4 pairs) then cover all banks.
  static constexpr int kSumPitch = N + 8;
  static constexpr int kSumBytes = Slices * M * kSumPitch * 4;
  static constexpr int kStagesBytes = Stages * kStageBytes;
  static constexpr int kBiasOffset = kStagesBytes > kSumBytes ? kStagesBytes : kSumBytes;
  static constexpr int kSharedBytes = kBiasOffset + N * 4;
  static_assert(kWarpM % 16 == 0 && kWarpN % 16 == 0 && (K / 16) % Slices == 0 && K % 32 == 0);
  // Rows of later passes then keep the first one's permutation.
  static_assert(kThreads % kChunks == 0 && kRowsPerPass % 8 == 0);
};

/// Byte offset of a 16-byte chunk in a tile with `Chunks` chunks a row.
template <int Chunks>
__device__ __forceinline__ int swizzled(int row, int chunk) {
  // A row of 4 chunks covers half the banks: two rows share a permutation.
  const int key = Chunks == 4 ? (row >> 1) & 3 : row & 7;
  return (row * Chunks + (chunk ^ key)) * 16;
}

/// Where a thread stands in K: its chunk's kernel tap and channel, advanced without division.
struct TapCursor {
  int y, x;   // kernel tap; y == kernel_height past the end
  int chunk;  // of eight channels, within the tap

  __device__ TapCursor(int k_chunk, const ConvParams& p) {
    const int tap = p.by_chunks_per_tap.divide(k_chunk);
    chunk = k_chunk - tap * (p.in_channels / 8);
    y = p.by_kernel_width.divide(tap);
    x = tap - y * p.kernel_width;
  }
  /// One step of K on; carries at most once a digit, since each digit of the step is below its
  /// base.
  __device__ __forceinline__ void advance(const ConvParams& p) {
    chunk += p.step_chunks;
    x += p.step_x;
    y += p.step_y;
    if (chunk >= p.in_channels / 8) {
      chunk -= p.in_channels / 8;
      ++x;
    }
    if (x >= p.kernel_width) {
      x -= p.kernel_width;
      ++y;
    }
  }
};

/// Copies steps of both matrices to shared memory; each thread owns one chunk column. At batch 1 a
/// block is a few warps, each waiting on its own instructions, and at large batches addresses
/// compete with the multiplications for issue slots: so all that repeats is kept as sums of what
/// changes.
template <typename Shape>
class TileLoader {
 public:
  __device__ TileLoader(const ConvParams& p, int m_tile, int n_tile, int group, int first_step)
      : p_(p),
        row_(static_cast<int>(threadIdx.x) / Shape::kChunks),
        first_channel_(group * p.in_channels),
        cursor_(first_step * Shape::kChunks + static_cast<int>(threadIdx.x) % Shape::kChunks, p) {
    const int column = static_cast<int>(threadIdx.x) % Shape::kChunks;
    to_ = swizzled<Shape::kChunks>(row_, column);
    const int chunks = p.kernel_height * p.kernel_width * (p.in_channels / 8);
    const int k_chunk = first_step * Shape::kChunks + column;
    const int n = n_tile * Shape::kN + row_;
    weight_chunks_left_ = chunks - k_chunk;
    weight_rows_left_ = p.out_channels - n;
    weight_ = static_cast<const __half*>(p.weight) +
              (static_cast<std::size_t>(group * p.out_channels + n) * chunks + k_chunk) * 8;
    weight_row_step_ = Shape::kRowsPerPass * chunks * 8;
#pragma unroll
    for (int i = 0; i < Shape::kPassesM; ++i) {
      const int m = m_tile * Shape::kM + row_ + i * Shape::kRowsPerPass;
      const int image = p.by_image_pixels.divide(m);
      const int pixel = m - image * static_cast<int>(p.by_image_pixels.divisor);
      const int row = p.by_out_width.divide(pixel);
      const int y = row * p.stride_y - p.pad_top;
      x_[i] = (pixel - row * p.out_width) * p.stride_x - p.pad_left;
      place_[i] = image * p.in_height;
      if (p.plain_source) {
        place_[i] = ((place_[i] + y) * p.in_width + x_[i]) * p.source[0].pixel_stride;
      }
      // Rows past the end start far above the picture: every tap of theirs is padding.
      y_[i] = image < p.batch ? y : -(1 << 28);
    }
  }

  __device__ __forceinline__ void load_weights(std::uint32_t stage) {
    const std::uint32_t to = stage + Shape::kM * Shape::kK * 2 + to_;
#pragma unroll
    for (int i = 0; i < Shape::kPassesN; ++i) {
      if (Shape::kN % Shape::kRowsPerPass != 0 && row_ + i * Shape::kRowsPerPass >= Shape::kN)
        break;
      copy_16_async<false>(to + i * kPassBytes, weight_ + i * weight_row_step_,
                           i * Shape::kRowsPerPass < weight_rows_left_ && weight_chunks_left_ > 0);
    }
    weight_ += Shape::kK;
    weight_chunks_left_ -= Shape::kChunks;
  }

  /// Asks L2 for the weights of the steps behind the first `loaded`, one line of 128 bytes a call.
  __device__ __forceinline__ void prefetch_weights(int loaded, int steps) const {
    if (threadIdx.x % (Shape::kChunks < 8 ? Shape::kChunks : 8) != 0) return;
#pragma unroll 1
    for (int step = 0; step < steps - loaded; ++step) {
#pragma unroll
      for (int i = 0; i < Shape::kPassesN; ++i) {
        if (Shape::kN % Shape::kRowsPerPass != 0 && row_ + i * Shape::kRowsPerPass >= Shape::kN)
          break;
        if (i * Shape::kRowsPerPass < weight_rows_left_ &&
            weight_chunks_left_ > step * Shape::kChunks) {
          prefetch_to_l2(weight_ + i * weight_row_step_ + step * Shape::kK);
        }
      }
    }
  }

  __device__ __forceinline__ void load_pixels(std::uint32_t stage) {
    const int channel = first_channel_ + cursor_.chunk * 8;
    const int dy = cursor_.y * p_.dilation_y, dx = cursor_.x * p_.dilation_x;
    // Past the last tap, nothing is inside the picture.
    const unsigned height = cursor_.y < p_.kernel_height ? p_.in_height : 0;
    if (p_.plain_source) {
      const ConvSource& source = p_.source[0];
      const __half* data = static_cast<const __half*>(source.data);
      const int tap = (dy * source.width + dx) * source.pixel_stride + channel;
#pragma unroll
      for (int i = 0; i < Shape::kPassesM; ++i) {
        if (!has_row(i)) break;
        const bool valid = static_cast<unsigned>(y_[i] + dy) < height &&
                           static_cast<unsigned>(x_[i] + dx) < static_cast<unsigned>(p_.in_width);
        // Nothing is read where `valid` is false, so the address may be anywhere.
        copy_16_async<Shape::kThroughL1>(stage + to_ + i * kPassBytes, data + (place_[i] + tap),
                                         valid);
      }
    } else {
      const bool second = channel >= p_.source[0].channels;
      const ConvSource& source = p_.source[second];
      const int shift = source.upsample_shift, stride = source.pixel_stride, width = source.width;
      const __half* data =
          static_cast<const __half*>(source.data) + channel - (second ? p_.source[0].channels : 0);
#pragma unroll
      for (int i = 0; i < Shape::kPassesM; ++i) {
        if (!has_row(i)) break;
        const int y = y_[i] + dy, x = x_[i] + dx;
        const bool valid = static_cast<unsigned>(y) < height &&
                           static_cast<unsigned>(x) < static_cast<unsigned>(p_.in_width);
        // Heights are multiples of the enlargement, so rows of all pictures may be shifted at once.
        const int pixel = ((place_[i] + y) >> shift) * width + (x >> shift);
        copy_16_async<Shape::kThroughL1>(stage + to_ + i * kPassBytes, data + pixel * stride,
                                         valid);
      }
    }
    cursor_.advance(p_);
  }

 private:
  static constexpr int kPassBytes = Shape::kRowsPerPass * Shape::kK * 2;
  const ConvParams& p_;
  int row_, first_channel_;
  int to_;  // bytes from the start of a stage's matrix
  TapCursor cursor_;
  const __half* weight_;
  int weight_row_step_, weight_chunks_left_, weight_rows_left_;
  int y_[Shape::kPassesM], x_[Shape::kPassesM];
  /// Plain source: the element of (y, x), channel 0. Else: the first row of the picture, in rows.
  int place_[Shape::kPassesM];

  __device__ __forceinline__ bool has_row(int pass) const {
    return Shape::kM % Shape::kRowsPerPass == 0 || row_ + pass * Shape::kRowsPerPass < Shape::kM;
  }
};

/// One warp's share of the tile: kWarpM x kWarpN sums over its slice of each step.
template <typename Shape>
struct WarpSums {
  static constexpr bool kAsync = false;
  static constexpr int kRows = Shape::kWarpM / 16, kColumns = Shape::kWarpN / 8;
  float sum[kRows][kColumns][4] = {};
  int lane, slice, m_first, n_first;

  __device__ WarpSums() {
    lane = static_cast<int>(threadIdx.x) % 32;
    int warp = static_cast<int>(threadIdx.x) / 32;
    n_first = warp % Shape::kWarpsN * Shape::kWarpN;
    warp /= Shape::kWarpsN;
    constexpr int kWarpsM = Shape::kM / Shape::kWarpM;
    m_first = warp % kWarpsM * Shape::kWarpM;
    slice = warp / kWarpsM;
  }

  __device__ __forceinline__ void add_step(std::uint32_t stage) {
    const std::uint32_t weights = stage + Shape::kM * Shape::kK * 2;
#pragma unroll
    for (int j = 0; j < Shape::kK / 16 / Shape::kSlices; ++j) {
      const int chunk = (slice + j * Shape::kSlices) * 2;
      std::uint32_t a[kRows][4], b[kColumns / 2][4];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        load_matrix_x4(a[i], stage + swizzled<Shape::kChunks>(m_first + i * 16 + lane % 16,
                                                              chunk + lane / 16));
      }
#pragma unroll
      for (int i = 0; i < kColumns / 2; ++i) {
        load_matrix_x4(
            b[i], weights + swizzled<Shape::kChunks>(n_first + i * 16 + lane % 8 + lane / 16 * 8,
                                                     chunk + lane / 8 % 2));
      }
#pragma unroll
      for (int row = 0; row < kRows; ++row) {
#pragma unroll
        for (int column = 0; column < kColumns; ++column) {
          const std::uint32_t(&pair)[4] = b[column / 2];
          multiply_16x8x16(sum[row][column], a[row], pair[column % 2 * 2],
                           pair[column % 2 * 2 + 1]);
        }
      }
    }
  }

  /// `sums` is [slice][row][kSumPitch] in shared memory.
  __device__ __forceinline__ void store(float* sums) const {
    float* mine = sums + slice * Shape::kM * Shape::kSumPitch;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const int row = m_first + i * 16 + lane / 4, column = n_first + j * 8 + lane % 4 * 2;
        *reinterpret_cast<float2*>(mine + row * Shape::kSumPitch + column) =
            make_float2(sum[i][j][0], sum[i][j][1]);
        *reinterpret_cast<float2*>(mine + (row + 8) * Shape::kSumPitch + column) =
            make_float2(sum[i][j][2], sum[i][j][3]);
      }
    }
  }
};

/// The same by warpgroup products: each four warps own 64 rows and all columns.
template <typename Shape>
struct WarpgroupSums {
  static constexpr bool kAsync = true;
  static_assert(Shape::kK == 64 && Shape::kSlices == 1 && Shape::kWarpM == 16 &&
                Shape::kWarpsN == 1);
  float sum[Shape::kN / 8][4] = {};

  /// Starts the products of a step; `wait_products` ends them.
  __device__ __forceinline__ void add_step(std::uint32_t stage) {
    const int warpgroup = static_cast<int>(threadIdx.x) / 128;
    const std::uint32_t rows = stage + warpgroup * 64 * Shape::kK * 2;
    const std::uint32_t weights = stage + Shape::kM * Shape::kK * 2;
    begin_products();
#pragma unroll
    for (int k = 0; k < Shape::kK / 16; ++k) {
      multiply_64xNx16(sum, matrix_descriptor(rows + k * 32), matrix_descriptor(weights + k * 32));
    }
    commit_products();
  }

  __device__ __forceinline__ void store(float* sums) const {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    float* row = sums + (warp * 16 + lane / 4) * Shape::kSumPitch + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < Shape::kN / 8; ++j) {
      *reinterpret_cast<float2*>(row + j * 8) = make_float2(sum[j][0], sum[j][1]);
      *reinterpret_cast<float2*>(row + 8 * Shape::kSumPitch + j * 8) =
          make_float2(sum[j][2], sum[j][3]);
    }
  }
};

__device__ __forceinline__ void add_halves(float (&sum)[8], const Half8& more) {
  float values[8];
  to_floats(more, values);
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] += values[i];
}

/// Bias, activation and residual of eight channels of a pixel.
__device__ __forceinline__ void finish(const ConvParams& p, float (&sum)[8], const float* bias,
                                       const Half8& residual) {
#pragma unroll
  for (int i = 0; i < 8; ++i) sum[i] += bias[i];
  if (p.residual && p.residual_before_activation) add_halves(sum, residual);
  activate(sum, p.activation);
  if (p.residual && !p.residual_before_activation) add_halves(sum, residual);
}

/// What a thread of the epilogue owns: channels [n, n + 8) of pixel m; `n` counts within the group.
struct OutputItem {
  int m, n, channel;
  bool inside;

  __device__ OutputItem(const ConvParams& p, int m_, int n_, int group)
      : m(m_),
        n(n_),
        channel(group * p.out_channels + n_),
        inside(m_ < p.batch * p.out_height * p.out_width && n_ < p.out_channels) {}

  __device__ __forceinline__ Half8 load_residual(const ConvParams& p) const {
    Half8 residual{};
    if (!p.residual || !inside) return residual;
    const __half* from = static_cast<const __half*>(p.residual) +
                         static_cast<std::size_t>(m) * p.residual_stride + channel;
    if (p.vector_store) return *reinterpret_cast<const Half8*>(from);
    __half* values = reinterpret_cast<__half*>(&residual);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (n + i < p.out_channels) values[i] = from[i];
    }
    return residual;
  }

  /// Where each pixel makes a block of them: the place in the image of the one that the channels
  /// belong to. `first` becomes the first channel within it.
  __device__ __forceinline__ std::int64_t place_in_block(const ConvParams& p, int pixel,
                                                         int& first) const {
    const int row = p.by_out_width.divide(pixel), column = pixel - row * p.out_width;
    const int part = p.by_block_channels.divide(channel);
    const int part_row = p.by_block_width.divide(part),
              part_column = part - part_row * p.block_width;
    first = channel - part * p.block_channels;
    return (row * p.block_height + part_row) * p.output_row_stride +
           static_cast<std::int64_t>(column * p.block_width + part_column) * p.output_stride;
  }

  __device__ __forceinline__ void store(const ConvParams& p, const float (&value)[8]) const {
    std::int64_t to = static_cast<std::int64_t>(m) * p.output_stride;
    int first = channel;
    if (p.output_image_stride != 0) {
      const int image = p.by_image_pixels.divide(m);
      const int pixel = m - image * static_cast<int>(p.by_image_pixels.divisor);
      to = image * p.output_image_stride +
           (p.block_channels != 0 ? place_in_block(p, pixel, first)
                                  : static_cast<std::int64_t>(pixel) * p.output_stride);
    }
    __half* halves = static_cast<__half*>(p.output) + to;
    float* floats = static_cast<float*>(p.output) + to;
    if (p.vector_store) {
      if (p.output_fp32) {
        *reinterpret_cast<float4*>(floats + first) =
            make_float4(value[0], value[1], value[2], value[3]);
        *reinterpret_cast<float4*>(floats + first + 4) =
            make_float4(value[4], value[5], value[6], value[7]);
      } else {
        *reinterpret_cast<Half8*>(halves + first) = to_half8(value);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (n + i >= p.out_channels) break;
      const std::int64_t at = (first + i) * p.output_channel_stride;
      if (p.output_fp32) {
        floats[at] = value[i];
      } else {
        halves[at] = __float2half_rn(value[i]);
      }
    }
  }
};

template <typename Shape, typename Sums>
__global__ void __launch_bounds__(Shape::kThreads)
    conv_tile_kernel(const __grid_constant__ ConvParams p) {
  extern __shared__ __align__(1024) unsigned char shared[];
  float* bias = reinterpret_cast<float*>(shared + Shape::kBiasOffset);
  let_next_kernel_start();
  const int m_tile = p.by_n_tiles.divide(static_cast<int>(blockIdx.x));
  const int n_tile = static_cast<int>(blockIdx.x - m_tile * p.by_n_tiles.divisor);
  const int group = static_cast<int>(blockIdx.y);
  const int all_steps =
      (p.kernel_height * p.kernel_width * p.in_channels + Shape::kK - 1) / Shape::kK;
  const int splits = static_cast<int>(gridDim.z);
  const int first_step = static_cast<int>(blockIdx.z) * p.steps_per_split;
  const int steps = max(0, min(p.steps_per_split, all_steps - first_step));

  TileLoader<Shape> loader(p, m_tile, n_tile, group, first_step);
  const std::uint32_t base = shared_address(shared);
  // Weights belong to the plan: they may load while the previous kernel still runs.
  // Loops stay rolled where they can: each kernel of a network finds the instruction cache cold.
#pragma unroll 1
  for (int s = 0; s < Shape::kStages - 1; ++s) {
    if (s < steps) loader.load_weights(base + s * Shape::kStageBytes);
  }
  // The rest of them comes as far as L2; one block for all that share them.
  if (m_tile == 0) loader.prefetch_weights(Shape::kStages - 1, steps);
  static_assert(Shape::kN <= Shape::kThreads);
  if (const int i = static_cast<int>(threadIdx.x); i < Shape::kN) {
    const int n = n_tile * Shape::kN + i;
    bias[i] = p.bias && n < p.out_channels ? p.bias[group * p.out_channels + n] : 0.0f;
  }
  wait_for_previous_kernel();
#pragma unroll 1
  for (int s = 0; s < Shape::kStages - 1; ++s) {
    if (s < steps) loader.load_pixels(base + s * Shape::kStageBytes);
    commit_copies();
  }
  constexpr int kGroupsOf8 = Shape::kN / 8;
  constexpr int kItems = Shape::kM * kGroupsOf8;
  const auto item_at = [&](int i) {
    return OutputItem(p, m_tile * Shape::kM + i / kGroupsOf8,
                      n_tile * Shape::kN + i % kGroupsOf8 * 8, group);
  };
  const int first_item = static_cast<int>(threadIdx.x + blockIdx.z * Shape::kThreads);
  // Small tiles, where latency is all, fetch the residual before the multiplications.
  constexpr bool kEarlyResidual = kItems <= Shape::kThreads;
  Half8 early{};
  if (kEarlyResidual && first_item < kItems) early = item_at(first_item).load_residual(p);

  Sums sums;
  int read = 0, write = Shape::kStages - 1;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_copies<Shape::kStages - 2>();
    if constexpr (Sums::kAsync) {
      // The stage written next is the one that the last products read.
      wait_products();
      publish_to_tensor_cores();
    }
    __syncthreads();
    if constexpr (Sums::kAsync) sums.add_step(base + read * Shape::kStageBytes);
    if (step + Shape::kStages - 1 < steps) {
      loader.load_weights(base + write * Shape::kStageBytes);
      loader.load_pixels(base + write * Shape::kStageBytes);
    }
    commit_copies();
    if constexpr (!Sums::kAsync) sums.add_step(base + read * Shape::kStageBytes);
    if (++write == Shape::kStages) write = 0;
    if (++read == Shape::kStages) read = 0;
  }
  if constexpr (Sums::kAsync) wait_products();
  wait_copies<0>();
  __syncthreads();

  float* partial = reinterpret_cast<float*>(shared);
  sums.store(partial);
#if __CUDA_ARCH__ >= 900
  if (splits > 1) {
    cooperative_groups::this_cluster().sync();
  } else {
    __syncthreads();
  }
#else
  __syncthreads();
#endif

#pragma unroll 1
  for (int i = first_item; i < kItems; i += Shape::kThreads * splits) {
    const OutputItem item = item_at(i);
    if (!item.inside) continue;
    const int row = i / kGroupsOf8, column = i % kGroupsOf8 * 8;
    const Half8 residual = kEarlyResidual ? early : item.load_residual(p);
    float sum[8] = {};
#pragma unroll 1
    for (int split = 0; split < splits; ++split) {
      const float* from = partial;
#if __CUDA_ARCH__ >= 900
      if (splits > 1) from = cooperative_groups::this_cluster().map_shared_rank(partial, split);
#endif
#pragma unroll
      for (int slice = 0; slice < Shape::kSlices; ++slice) {
        const float4* values = reinterpret_cast<const float4*>(
            from + (slice * Shape::kM + row) * Shape::kSumPitch + column);
        const float4 low = values[0], high = values[1];
        sum[0] += low.x, sum[1] += low.y, sum[2] += low.z, sum[3] += low.w;
        sum[4] += high.x, sum[5] += high.y, sum[6] += high.z, sum[7] += high.w;
      }
    }
    finish(p, sum, bias + column, residual);
    item.store(p, sum);
  }
#if __CUDA_ARCH__ >= 900
  // Nobody leaves while a neighbour may still read its sums.
  if (splits > 1) cooperative_groups::this_cluster().sync();
#endif
}

template <typename Shape, typename Sums = WarpSums<Shape>>
ConvTile make_conv_tile(const char* name) {
  ConvTile tile;
  tile.name = name;
  tile.m = Shape::kM;
  tile.n = Shape::kN;
  tile.k = Shape::kK;
  tile.slices = Shape::kSlices;
  tile.threads = Shape::kThreads;
  tile.stages = Shape::kStages;
  tile.shared_bytes = Shape::kSharedBytes;
  tile.needs_sm90a = Sums::kAsync;
  tile.kernel = reinterpret_cast<const void*>(&conv_tile_kernel<Shape, Sums>);
  return tile;
}

/// `Warpgroups` of 64 rows each.
template <int Warpgroups, int N, int Stages>
ConvTile make_warpgroup_tile(const char* name) {
  using Shape = TileShape<64 * Warpgroups, N, 64, 4 * Warpgroups, 1, 1, Stages>;
  return make_conv_tile<Shape, WarpgroupSums<Shape>>(name);
}

}  // namespace peregrine::cuda
