// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/attention_combine.cuh"
#include "engine/cuda/kernels/attention_kernels.h"
#include "engine/cuda/kernels/warpgroup.cuh"

// Attention by warpgroup products (sm_90a). A warpgroup owns 64 queries and walks over keys 64 at a
// time; the keys of a block are dealt out to `Streams` of warpgroups, each with stages and a
// barrier of its own, so that one stream's exponentials run under another's products, and a short
// grid still fills a multiprocessor. A stream is `RowGroups` warpgroups of different queries, which
// share what they load. Streams of a block, and of a cluster's blocks, meet in PartialResults.
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

__device__ __forceinline__ int swizzled_128(int row, int chunk) {
  return row * 128 + ((chunk ^ (row & 7)) << 4);
}

/// One thread's share of copying rows of `Width` elements with `Threads` threads: a fixed chunk of
/// every kRowsPerPass-th row.
template <int Width, int Threads>
struct RowCopy {
  static constexpr int kChunks = Width / 8;
  static constexpr int kRowsPerPass = Threads / kChunks;
  static_assert(kRowsPerPass % 8 == 0);  // later passes keep the first one's permutation
  const __half* from;
  int row, to, stride;
  bool inside;  // the width that is there

  __device__ RowCopy(const AttentionTensor& t, int image, int head, int width, int thread)
      : row(thread / kChunks), stride(t.token_stride) {
    const int chunk = thread % kChunks;
    to = swizzled_128(row, chunk);
    from = at(t, image, head) + static_cast<std::int64_t>(row) * stride + chunk * 8;
    inside = chunk * 8 < width;
  }
  /// Rows [first, first + Rows) of the tensor, zeros past `limit`.
  template <int Rows>
  __device__ __forceinline__ void operator()(std::uint32_t tile, int first, int limit) const {
    const __half* rows = from + static_cast<std::int64_t>(first) * stride;
#pragma unroll
    for (int i = 0; i < (Rows + kRowsPerPass - 1) / kRowsPerPass; ++i) {
      if (Rows % kRowsPerPass != 0 && row + i * kRowsPerPass >= Rows) break;
      copy_16_async(tile + to + i * kRowsPerPass * 128, rows + i * kRowsPerPass * stride,
                    inside && first + row + i * kRowsPerPass < limit);
    }
  }
};

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    attention_warpgroup_kernel(const __grid_constant__ AttentionParams p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ __align__(1024) unsigned char shared[];
  let_next_kernel_start();
  namespace cg = cooperative_groups;
  const int splits = static_cast<int>(cg::this_cluster().num_blocks());
  const int split = static_cast<int>(cg::this_cluster().block_rank());
  const int head = static_cast<int>(blockIdx.y), image = static_cast<int>(blockIdx.z) / splits;
  const int first_query = static_cast<int>(blockIdx.x) * Shape::kRows;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  // The same for a whole warp, which the compiler cannot know.
  const int warpgroup = __shfl_sync(0xffffffffu, thread / 128, 0);
  const int stream = warpgroup / Shape::kRowGroups, row_group = warpgroup % Shape::kRowGroups;
  const int warp_row = row_group * 64 + thread / 32 % 4 * 16;
  const int in_stream = thread % Shape::kStreamThreads;

  const std::uint32_t queries = shared_address(shared);
  const std::uint32_t stages = queries + Shape::kRowGroups * Shape::kTileBytes +
                               stream * Shape::kStages * Shape::kStageBytes;
  const RowCopy<Shape::kQueryWidth, Shape::kStreamThreads> copy_keys(
      p.key, image, head / p.heads_per_key, p.query_width, in_stream);
  const RowCopy<Shape::kValueWidth, Shape::kStreamThreads> copy_values(
      p.value, image, head / p.heads_per_key, p.value_width, in_stream);
  const int all_steps = (p.keys + Shape::kKeys - 1) / Shape::kKeys;
  const int stride = splits * Shape::kStreams, first_step = split * Shape::kStreams + stream;
  const int steps = first_step < all_steps ? (all_steps - first_step - 1) / stride + 1 : 0;
  const auto first_key = [&](int i) { return (first_step + i * stride) * Shape::kKeys; };
  const auto stage = [&](int i) { return stages + i % Shape::kStages * Shape::kStageBytes; };
  // Two groups a step, so that the first product waits for no values.
  const auto load_step = [&](int i) {
    if (i < steps) copy_keys.template operator()<Shape::kKeys>(stage(i), first_key(i), p.keys);
    commit_copies();
    if (i < steps) {
      copy_values.template operator()<Shape::kKeys>(stage(i) + Shape::kTileBytes, first_key(i),
                                                    p.keys);
    }
    commit_copies();
  };
  wait_for_previous_kernel();
  RowCopy<Shape::kQueryWidth, Shape::kThreads>(p.query, image, head, p.query_width, thread)
      .template operator()<Shape::kRows>(queries, first_query, p.queries);
#pragma unroll 1
  for (int i = 0; i < Shape::kAhead; ++i) load_step(i);
  wait_copies<2 * Shape::kAhead - 1>();
  publish_to_tensor_cores();
  __syncthreads();

  std::uint32_t q[Shape::kQueryWidth / 16][4];
#pragma unroll
  for (int k = 0; k < Shape::kQueryWidth / 16; ++k) {
    load_matrix_x4(q[k], queries + swizzled_128(warp_row + lane % 16, k * 2 + lane / 16));
  }
  const auto stream_barrier = [&] {
    wait_copies<2 * Shape::kAhead - 1>();
    publish_to_tensor_cores();
    asm volatile("bar.sync %0, %1;" ::"r"(stream + 1), "n"(Shape::kStreamThreads) : "memory");
  };
  const float factor = p.scale * kLog2e;
  RunningResult<Shape::kValueWidth> result;
  std::uint32_t weights[Shape::kKeys / 16][4];
  const auto multiply_values = [&](int i) {
    const std::uint32_t values = stage(i) + Shape::kTileBytes;
    begin_products();
#pragma unroll
    for (int k = 0; k < Shape::kKeys / 16; ++k) {
      multiply_64xNx16<true>(result.value, weights[k], matrix_descriptor(values + k * 16 * 128),
                             true);
    }
  };
#pragma unroll 1
  for (int i = 0; i < steps; ++i) {
    if (i > 0) stream_barrier();
    float score[Shape::kKeys / 8][4];
    begin_products();
#pragma unroll
    for (int k = 0; k < Shape::kQueryWidth / 16; ++k) {
      multiply_64xNx16<false>(score, q[k], matrix_descriptor(stage(i) + k * 32), k > 0);
    }
    commit_products();
    // The last step's values wait until here, and run under this step's exponentials.
    if (i > 0) multiply_values(i - 1);
    commit_products();
    load_step(i + Shape::kAhead);
    wait_products<1>();
    use_after_wait(score);
    if (const int left = p.keys - first_key(i); left < Shape::kKeys) {
#pragma unroll
      for (int n = 0; n < Shape::kKeys / 8; ++n) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if (n * 8 + lane % 4 * 2 + j % 2 >= left) score[n][j] = -INFINITY;
        }
      }
    }
    float shrink[2];
    result.weigh(score, factor, shrink);
    wait_products<0>();
    use_after_wait(result.value);
    result.rescale(shrink);
#pragma unroll
    for (int k = 0; k < Shape::kKeys / 16; ++k) {
      pack_weights(reinterpret_cast<const float(&)[2][4]>(score[2 * k]), weights[k]);
    }
  }
  if (steps > 0) {
    wait_copies<0>();
    stream_barrier();
    multiply_values(steps - 1);
    commit_products();
    wait_products<0>();
    use_after_wait(result.value);
  }
  wait_copies<0>();
  __syncthreads();  // the stages become the partial results

  result.finish_sums();
  Shape::Parts::store(shared, stream, warp_row + lane / 4, result, factor);
  if (splits > 1) {
    cg::this_cluster().sync();
  } else {
    __syncthreads();
  }
  Shape::Parts::write(p, shared, image, head, first_query, split, splits);
  // Nobody leaves while a neighbour may still read its results.
  if (splits > 1) cg::this_cluster().sync();
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
  kernel.needs_sm90a = true;
  kernel.can_split = true;
  kernel.plain = reinterpret_cast<const void*>(&attention_warpgroup_kernel<Shape>);
  return kernel;
}

}  // namespace peregrine::cuda
