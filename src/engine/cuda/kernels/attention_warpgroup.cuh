// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/attention_kernels.h"
#include "engine/cuda/kernels/attention_parts.cuh"
#include "engine/cuda/kernels/warpgroup.cuh"

// Attention by warpgroup products (sm_90a). A warpgroup owns 64 queries and walks over keys 64 at a
// time; the keys of a block are dealt out to `Streams` of warpgroups, each with stages and a
// barrier of its own, so that one stream's exponentials run under another's products, and a short
// grid still fills a multiprocessor. A stream is `RowGroups` warpgroups of different queries, which
// share what they load. The streams' results meet in PartialResults.
//
// Everything in shared memory is 64 rows of 128 bytes, the xor of chunk and row being the swizzle
// that the tensor cores expect; narrow heads leave the rest of the row alone.
namespace peregrine::cuda {

template <int QueryWidth, int ValueWidth, int RowGroups, int Streams>
struct WarpgroupAttention {
  static_assert(QueryWidth <= 64 && ValueWidth <= 64);
  static constexpr int kQueryWidth = QueryWidth, kValueWidth = ValueWidth;
  static constexpr int kRowGroups = RowGroups, kStreams = Streams;
  static constexpr int kRows = 64 * RowGroups, kKeys = 64;
  static constexpr int kStreamThreads = 128 * RowGroups;
  static constexpr int kThreads = kStreamThreads * Streams;
  static constexpr int kBlocks = kThreads <= 256 ? 2 : 1;  // a multiprocessor holds
  // One step's keys and the last one's values are in use, the others on their way.
  static constexpr int kStages = Streams == 4 ? 3 : 4;
  static constexpr int kAhead = kStages - 2;
  static constexpr int kTileBytes = 64 * 128;
  static constexpr int kStageBytes = 2 * kTileBytes;
  static constexpr int kStagesBytes = (RowGroups + Streams * kStages * 2) * kTileBytes;
  using Parts = PartialResults<ValueWidth, kRows, Streams>;
  static constexpr int kSharedBytes = kStagesBytes > Parts::kBytes ? kStagesBytes : Parts::kBytes;
};

/// Rows of 128 bytes whose 16-byte chunks are permuted by the row.
template <int Width>
struct SwizzledRows {
  static constexpr int kWidth = Width, kPitch = 128, kPeriod = 8;
  static __device__ __forceinline__ int offset(int row, int chunk) {
    return row * kPitch + ((chunk ^ (row & 7)) << 4);
  }
};

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    attention_warpgroup_kernel(const __grid_constant__ AttentionParams p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) unsigned char shared[];
  let_next_kernel_start();
  const int head = static_cast<int>(blockIdx.y), image = static_cast<int>(blockIdx.z);
  const int first_query = static_cast<int>(blockIdx.x) * Shape::kRows;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // The same for a whole warp, which the compiler cannot know.
  const int warpgroup = __shfl_sync(0xffffffffu, thread / 128, 0);
  const int stream = warpgroup / Shape::kRowGroups, row_group = warpgroup % Shape::kRowGroups;
  const int warp_row = row_group * 64 + thread / 32 % 4 * 16;

  const std::uint32_t queries = shared_address(shared);
  const std::uint32_t stages = queries + Shape::kRowGroups * Shape::kTileBytes +
                               stream * Shape::kStages * Shape::kStageBytes;
  using QueryRows = SwizzledRows<Shape::kQueryWidth>;
  const int from_head = key_head(p, head);
  const RowCopy<QueryRows, Shape::kStreamThreads> keys(p.key, image, from_head, p.query_width);
  const RowCopy<SwizzledRows<Shape::kValueWidth>, Shape::kStreamThreads> values(
      p.value, image, from_head, p.value_width);
  const int all_steps = (p.keys + Shape::kKeys - 1) / Shape::kKeys;
  const int steps = (all_steps - stream + Shape::kStreams - 1) / Shape::kStreams;
  int load_key = stream * Shape::kKeys, load_slot = 0;
  // Two groups a step, so that the first product waits for no values.
  const auto load_step = [&] {
    const std::uint32_t to = stages + load_slot * Shape::kStageBytes;
    if (load_key < p.keys) keys.template copy<Shape::kKeys, true>(to, load_key, p.keys - load_key);
    commit_copies();
    if (load_key < p.keys) {
      values.template copy<Shape::kKeys, true>(to + Shape::kTileBytes, load_key, p.keys - load_key);
    }
    commit_copies();
    load_key += Shape::kStreams * Shape::kKeys;
    if (++load_slot == Shape::kStages) load_slot = 0;
  };
  wait_for_previous_kernel();
  RowCopy<QueryRows, Shape::kThreads>(p.query, image, head, p.query_width)
      .template copy<Shape::kRows, true>(queries, first_query, p.queries - first_query);
#pragma unroll 1
  for (int i = 0; i < Shape::kAhead; ++i) load_step();
  wait_copies<2 * Shape::kAhead - 1>();
  publish_to_tensor_cores();
  __syncthreads();

  // The next keys and the last values have come, for all warps of the stream.
  const auto stream_barrier = [&] {
    wait_copies<2 * Shape::kAhead - 1>();
    publish_to_tensor_cores();
    asm volatile("bar.sync %0, %1;" ::"r"(stream + 1), "n"(Shape::kStreamThreads) : "memory");
  };
  const float factor = p.scale * kLog2e;
  RunningResult<Shape::kValueWidth> result;
  std::uint32_t weights[Shape::kKeys / 16][4];
  const std::uint64_t of_queries = matrix_descriptor(queries + row_group * Shape::kTileBytes);
  const std::uint64_t first_stage = matrix_descriptor(stages);
  // Of a slot's values, by the weights of the last step.
  const auto multiply_values = [&](int slot) {
    const std::uint64_t stage =
        advanced(first_stage, slot * Shape::kStageBytes + Shape::kTileBytes);
    begin_products();
#pragma unroll
    for (int k = 0; k < Shape::kKeys / 16; ++k) {
      multiply_rows_64xNx16(result.value, weights[k], advanced(stage, k * 16 * 128));
    }
  };
  int left = p.keys - stream * Shape::kKeys, slot = 0, last_slot = 0;
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    if (i > 0) stream_barrier();
    float score[Shape::kKeys / 8][4];
    const std::uint64_t stage = advanced(first_stage, slot * Shape::kStageBytes);
    begin_products();
#pragma unroll
    for (int k = 0; k < Shape::kQueryWidth / 16; ++k) {
      multiply_64xNx16(score, advanced(of_queries, k * 32), advanced(stage, k * 32), k > 0);
    }
    commit_products();
    load_step();
    // The last step's values wait until here, and run under this step's exponentials.
    if (i > 0) {
      multiply_values(last_slot);
      commit_products();
      wait_products<1>();
    } else {
      wait_products<0>();
    }
    use_after_wait(score);
    if (left < Shape::kKeys) {
#pragma unroll
      for (int n = 0; n < Shape::kKeys / 8; ++n) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if (n * 8 + lane % 4 * 2 + j % 2 >= left) score[n][j] = -INFINITY;
        }
      }
    }
    float shrink[2];
    const bool stale = result.weigh(score, factor, shrink);
    use_after_wait(score);  // and the next wait after the exponentials
    wait_products<0>();
    use_after_wait(result.value);
    if (stale) result.rescale(shrink);
#pragma unroll
    for (int k = 0; k < Shape::kKeys / 16; ++k) {
      pack_weights(reinterpret_cast<const float(&)[2][4]>(score[2 * k]), weights[k]);
    }
    left -= Shape::kStreams * Shape::kKeys;
    last_slot = slot;
    if (++slot == Shape::kStages) slot = 0;
  }
  if (steps > 0) {
    wait_copies<0>();
    stream_barrier();
    multiply_values(last_slot);
    commit_products();
    wait_products<0>();
    use_after_wait(result.value);
  }
  wait_copies<0>();
  __syncthreads();  // the stages become the partial results

  result.finish_sums();
  Shape::Parts::store(shared, stream, warp_row + lane / 4, result, factor);
  __syncthreads();
  Shape::Parts::write(p, shared, image, head, first_query);
#endif
}

template <int QueryWidth, int ValueWidth, int RowGroups, int Streams>
AttentionKernel make_warpgroup_attention(const char* name) {
  using Shape = WarpgroupAttention<QueryWidth, ValueWidth, RowGroups, Streams>;
  AttentionKernel kernel;
  kernel.name = name;
  kernel.query_width = QueryWidth;
  kernel.value_width = ValueWidth;
  kernel.queries = Shape::kRows;
  kernel.keys = Shape::kKeys * Streams;
  kernel.threads = Shape::kThreads;
  kernel.shared_bytes = Shape::kSharedBytes;
  kernel.kind = AttentionKind::kWarpgroups;
  kernel.plain = reinterpret_cast<const void*>(&attention_warpgroup_kernel<Shape>);
  return kernel;
}

}  // namespace peregrine::cuda
