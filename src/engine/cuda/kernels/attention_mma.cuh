// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/attention_kernels.h"
#include "engine/cuda/kernels/attention_mask.cuh"
#include "engine/cuda/kernels/attention_parts.cuh"

// Attention for narrow heads on any tensor core, after FlashAttention-2 (Dao, 2023): a warp owns 16
// queries and walks over its keys `Keys` at a time, keeping the running maximum and sum of each
// row's exponentials and rescaling its result when the maximum grows. `KeyWarps` warps share the
// same queries and each take a part of a step's keys: short sequences are a matter of latency, and
// the step of one warp is the whole of it.
namespace peregrine::cuda {

/// Rows of `Width` elements, eight elements (16 bytes) of padding: eight rows of an ldmatrix then
/// start in different banks.
template <int Width>
struct PaddedRows {
  static constexpr int kWidth = Width, kPitch = (Width + 8) * 2, kPeriod = 1;
  static __device__ __forceinline__ int offset(int row, int chunk) {
    return row * kPitch + chunk * 16;
  }
};

template <int QueryWidth, int ValueWidth, int RowWarps, int KeyWarps, int Keys>
struct MmaAttention {
  static constexpr int kQueryWidth = QueryWidth, kValueWidth = ValueWidth;
  static constexpr int kRowWarps = RowWarps, kKeyWarps = KeyWarps, kWarpKeys = Keys;
  static constexpr int kThreads = 32 * RowWarps * KeyWarps;
  static constexpr int kQueries = 16 * RowWarps;
  static constexpr int kKeys = KeyWarps * Keys;  // of a block's step
  using QueryRows = PaddedRows<QueryWidth>;
  using ValueRows = PaddedRows<ValueWidth>;
  using Parts = PartialResults<ValueWidth, kQueries, KeyWarps>;
  static constexpr int kStageBytes = kKeys * (QueryRows::kPitch + ValueRows::kPitch);
  static constexpr int kStagesBytes = kQueries * QueryRows::kPitch + 2 * kStageBytes;
  static constexpr int kPartsBytes = KeyWarps > 1 ? Parts::kBytes : 0;
  static constexpr int kSharedBytes = kStagesBytes > kPartsBytes ? kStagesBytes : kPartsBytes;
};

/// Widths of `p` up to the shape's. `Masked`: anything but the plain softmax of products.
template <typename Shape, bool Masked>
__global__ void __launch_bounds__(Shape::kThreads)
    attention_mma_kernel(const __grid_constant__ AttentionParams p) {
  using QueryRows = typename Shape::QueryRows;
  using ValueRows = typename Shape::ValueRows;
  constexpr int kColumns = Shape::kWarpKeys / 8;
  extern __shared__ __align__(16) unsigned char shared[];
  let_next_kernel_start();
  const int head = static_cast<int>(blockIdx.y), image = static_cast<int>(blockIdx.z);
  const int first_query = static_cast<int>(blockIdx.x) * Shape::kQueries;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = warp % Shape::kRowWarps * 16;
  const int key_warp = warp / Shape::kRowWarps, warp_key = key_warp * Shape::kWarpKeys;
  const std::uint32_t queries = shared_address(shared);
  const std::uint32_t base = queries + Shape::kQueries * QueryRows::kPitch;
  constexpr int kValuesOffset = Shape::kKeys * QueryRows::kPitch;  // within a stage
  const int from_head = key_head(p, head);
  const RowCopy<QueryRows, Shape::kThreads> keys(p.key, image, from_head, p.query_width);
  const RowCopy<ValueRows, Shape::kThreads> values(p.value, image, from_head, p.value_width);
  // A warp that has keys left multiplies with all its rows: passes are as long or longer.
  static_assert(decltype(keys)::kRowsPerPass >= Shape::kWarpKeys || Shape::kKeyWarps == 1);
  static_assert(decltype(values)::kRowsPerPass >= Shape::kWarpKeys || Shape::kKeyWarps == 1);
  constexpr bool kWhole = Shape::kKeyWarps == 1;
  const auto load_step = [&](int step) {
    const std::uint32_t stage = base + step % 2 * Shape::kStageBytes;
    const int first = step * Shape::kKeys;
    if (first < p.keys) keys.template copy<Shape::kKeys, kWhole>(stage, first, p.keys - first);
    commit_copies();
    if (first < p.keys) {
      values.template copy<Shape::kKeys, kWhole>(stage + kValuesOffset, first, p.keys - first);
    }
    commit_copies();
  };
  wait_for_previous_kernel();
  RowCopy<QueryRows, Shape::kThreads>(p.query, image, head, p.query_width)
      .template copy<Shape::kQueries, true>(queries, first_query, p.queries - first_query);
  load_step(0);

  std::uint32_t q[Shape::kQueryWidth / 16][4];
  RunningResult<Shape::kValueWidth> result;
  // A mask needs scores in natural units, so there the change of base comes first.
  const float factor = Masked ? 1.0f : p.scale * kLog2e;
  const int steps = (p.keys + Shape::kKeys - 1) / Shape::kKeys;
  const std::int64_t mask = image * p.mask.stride[0] + head * p.mask.stride[1];
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    load_step(step + 1);
    // Where a step is most of the work, its scores do not wait for its values.
    wait_copies<kWhole ? 2 : 3>();
    __syncthreads();
    if (step == 0) {
#pragma unroll
      for (int k = 0; k < Shape::kQueryWidth / 16; ++k) {
        load_matrix_x4(
            q[k], queries + (warp_row + lane % 16) * QueryRows::kPitch + (k * 2 + lane / 16) * 16);
      }
    }
    const int first = step * Shape::kKeys + warp_key, left = p.keys - first;
    const std::uint32_t stage = base + step % 2 * Shape::kStageBytes;
    float score[kColumns][4] = {};
    if (left > 0) {
      const std::uint32_t of_warp = stage + warp_key * QueryRows::kPitch;
#pragma unroll
      for (int k = 0; k < Shape::kQueryWidth / 16; ++k) {
#pragma unroll
        for (int n = 0; n < kColumns / 2; ++n) {
          std::uint32_t b[4];
          load_matrix_x4(b, of_warp + (n * 16 + lane % 8 + lane / 16 * 8) * QueryRows::kPitch +
                                (k * 2 + lane / 8 % 2) * 16);
          multiply_16x8x16(score[2 * n], q[k], b[0], b[1]);
          multiply_16x8x16(score[2 * n + 1], q[k], b[2], b[3]);
        }
      }
      if (Masked || left < Shape::kWarpKeys) {
#pragma unroll
        for (int n = 0; n < kColumns; ++n) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int column = n * 8 + lane % 4 * 2 + i % 2;
            if constexpr (Masked) {
              const int row = first_query + warp_row + lane / 4 + i / 2 * 8;
              score[n][i] =
                  masked_score(p, mask, row, first + column, score[n][i] * p.scale) * kLog2e;
            }
            if (column >= left) score[n][i] = -INFINITY;
          }
        }
      }
      float shrink[2];
      if (result.weigh(score, factor, shrink)) result.rescale(shrink);
    }
    if (!kWhole) {
      wait_copies<2>();
      __syncthreads();
    }
    if (left > 0) {
      const std::uint32_t of_warp = stage + kValuesOffset + warp_key * ValueRows::kPitch;
#pragma unroll
      for (int k = 0; k < Shape::kWarpKeys / 16; ++k) {
        std::uint32_t a[4];
        pack_weights(reinterpret_cast<const float(&)[2][4]>(score[2 * k]), a);
#pragma unroll
        for (int n = 0; n < Shape::kValueWidth / 16; ++n) {
          std::uint32_t b[4];
          load_matrix_x4_transposed(
              b, of_warp + (k * 16 + lane % 16) * ValueRows::kPitch + (n * 2 + lane / 16) * 16);
          multiply_16x8x16(result.value[2 * n], a, b[0], b[1]);
          multiply_16x8x16(result.value[2 * n + 1], a, b[2], b[3]);
        }
      }
    }
    __syncthreads();  // before the next step, or the partial results, overwrite this one's stage
  }

  result.finish_sums();
  if constexpr (Shape::kKeyWarps > 1) {
    Shape::Parts::store(shared, key_warp, warp_row + lane / 4, result, factor);
    __syncthreads();
    Shape::Parts::write(p, shared, image, head, first_query);
  } else {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float all = result.sum[half];
      const float scale_back = Masked && p.zero_if_masked && all == 0 ? 0.0f : 1.0f / all;
      const int row = first_query + warp_row + lane / 4 + half * 8;
      if (row >= p.queries) continue;
      __half* to = const_cast<__half*>(at(p.output, image, head)) +
                   static_cast<std::int64_t>(row) * p.output.token_stride + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < Shape::kValueWidth / 8; ++n) {
        if (n * 8 >= p.value_width) break;
        *reinterpret_cast<__half2*>(to + n * 8) = __floats2half2_rn(
            result.value[n][half * 2] * scale_back, result.value[n][half * 2 + 1] * scale_back);
      }
    }
  }
}

template <typename Shape>
AttentionKernel make_mma_attention(const char* name) {
  AttentionKernel kernel;
  kernel.name = name;
  kernel.query_width = Shape::kQueryWidth;
  kernel.value_width = Shape::kValueWidth;
  kernel.queries = Shape::kQueries;
  kernel.keys = Shape::kKeys;
  kernel.threads = Shape::kThreads;
  kernel.shared_bytes = Shape::kSharedBytes;
  kernel.plain = reinterpret_cast<const void*>(&attention_mma_kernel<Shape, false>);
  kernel.kind = Shape::kKeyWarps > 1 ? AttentionKind::kKeys : AttentionKind::kRows;
  // The parts of a row know nothing of rows without keys.
  if constexpr (Shape::kKeyWarps == 1) {
    kernel.masked = reinterpret_cast<const void*>(&attention_mma_kernel<Shape, true>);
  }
  return kernel;
}

}  // namespace peregrine::cuda
