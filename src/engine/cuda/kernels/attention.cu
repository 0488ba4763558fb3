// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention.h"

#include <cfloat>

#include "engine/cuda/kernels/attention_mask.cuh"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

// Attention for narrow heads, after Dao's FlashAttention-2 (2023): a warp owns 16 queries and walks
// over the keys 64 at a time, keeping the running maximum and sum of each row's exponentials (in
// base 2) and rescaling its result when the maximum grows.
namespace peregrine::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kQueries = 16 * kWarps;  // of a block
constexpr int kKeys = 64;              // of a step

/// Rows of `Width` elements, eight elements (16 bytes) of padding: eight rows of an ldmatrix then
/// start in different banks.
template <int Width>
struct Tile {
  static constexpr int kPitch = (Width + 8) * 2;  // bytes
  static constexpr int kChunks = Width / 8;

  /// Copies rows [first, first + Rows) of a tensor, zeros past `limit` and from `chunks` on.
  template <int Rows>
  static __device__ __forceinline__ void copy(std::uint32_t to, const __half* from,
                                              int token_stride, int first, int limit, int chunks) {
#pragma unroll
    for (int i = static_cast<int>(threadIdx.x); i < Rows * kChunks; i += kThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool valid = first + row < limit && chunk < chunks;
      copy_16_async(to + row * kPitch + chunk * 16,
                    from + static_cast<std::int64_t>(valid ? first + row : 0) * token_stride +
                        (valid ? chunk * 8 : 0),
                    valid);
    }
  }
};

__device__ __forceinline__ const __half* at(const AttentionTensor& t, int image, int head) {
  return static_cast<const __half*>(t.data) + image * t.image_stride +
         static_cast<std::int64_t>(head) * t.head_stride;
}

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Widths of `p` up to the template's. `Masked`: anything but the plain softmax of products.
template <int QueryWidth, int ValueWidth, bool Masked>
__global__ void __launch_bounds__(kThreads)
    attention_kernel(const __grid_constant__ AttentionParams p) {
  using QueryTile = Tile<QueryWidth>;
  using ValueTile = Tile<ValueWidth>;
  constexpr int kStageBytes = kKeys * (QueryTile::kPitch + ValueTile::kPitch);
  extern __shared__ __align__(16) unsigned char shared[];
  let_next_kernel_start();
  const int head = static_cast<int>(blockIdx.y), image = static_cast<int>(blockIdx.z);
  const int first_query = static_cast<int>(blockIdx.x) * kQueries;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const __half* key = at(p.key, image, head / p.heads_per_key);
  const __half* value = at(p.value, image, head / p.heads_per_key);
  const std::uint32_t queries = shared_address(shared);
  const std::uint32_t base = queries + kQueries * QueryTile::kPitch;
  const int query_chunks = p.query_width / 8, value_chunks = p.value_width / 8;
  const auto load_step = [&](int step) {
    const std::uint32_t stage = base + step % 2 * kStageBytes;
    QueryTile::template copy<kKeys>(stage, key, p.key.token_stride, step * kKeys, p.keys,
                                    query_chunks);
    ValueTile::template copy<kKeys>(stage + kKeys * QueryTile::kPitch, value, p.value.token_stride,
                                    step * kKeys, p.keys, value_chunks);
    commit_copies();
  };
  wait_for_previous_kernel();
  QueryTile::template copy<kQueries>(queries, at(p.query, image, head), p.query.token_stride,
                                     first_query, p.queries, query_chunks);
  load_step(0);

  std::uint32_t q[QueryWidth / 16][4];
  float result[ValueWidth / 8][4] = {};
  float maximum[2] = {-FLT_MAX, -FLT_MAX}, sum[2] = {};  // rows lane/4 and lane/4 + 8
  const float scale = p.scale * 1.44269504f;
  const int steps = (p.keys + kKeys - 1) / kKeys;
  const std::int64_t mask = image * p.mask.stride[0] + head * p.mask.stride[1];
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) {
      load_step(step + 1);
      wait_copies<1>();
    } else {
      wait_copies<0>();
    }
    __syncthreads();
    if (step == 0) {
#pragma unroll
      for (int k = 0; k < QueryWidth / 16; ++k) {
        load_matrix_x4(
            q[k], queries + (warp * 16 + lane % 16) * QueryTile::kPitch + (k * 2 + lane / 16) * 16);
      }
    }
    const std::uint32_t keys = base + step % 2 * kStageBytes;
    const std::uint32_t values = keys + kKeys * QueryTile::kPitch;
    float score[kKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < QueryWidth / 16; ++k) {
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        std::uint32_t b[4];
        load_matrix_x4(b, keys + (n * 16 + lane % 8 + lane / 16 * 8) * QueryTile::kPitch +
                              (k * 2 + lane / 8 % 2) * 16);
        multiply_16x8x16(score[2 * n], q[k], b[0], b[1]);
        multiply_16x8x16(score[2 * n + 1], q[k], b[2], b[3]);
      }
    }
    const int left = p.keys - step * kKeys;
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int column = n * 8 + lane % 4 * 2 + i % 2;
        if constexpr (Masked) {
          const int row = first_query + warp * 16 + lane / 4 + i / 2 * 8;
          score[n][i] = masked_score(p, mask, row, step * kKeys + column, score[n][i] * p.scale) *
                        1.44269504f;
          if (column >= left) score[n][i] = -INFINITY;
        } else {
          score[n][i] = column < left ? score[n][i] * scale : -INFINITY;
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float best = maximum[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
        best = fmaxf(best, fmaxf(score[n][half * 2], score[n][half * 2 + 1]));
      }
      // The four threads of a quad hold one row.
      best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 1));
      best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 2));
      const float shrink = exp2_fast(maximum[half] - best);
      maximum[half] = best;
      sum[half] *= shrink;
#pragma unroll
      for (int n = 0; n < ValueWidth / 8; ++n) {
        result[n][half * 2] *= shrink;
        result[n][half * 2 + 1] *= shrink;
      }
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& s = score[n][half * 2 + i];
          s = exp2_fast(s - best);
          sum[half] += s;
        }
      }
    }
    // The scores' layout as a result is their layout as a left matrix.
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      std::uint32_t a[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* pair = &score[2 * k + i / 2][i % 2 * 2];
        const __half2 packed = __floats2half2_rn(pair[0], pair[1]);
        a[i] = *reinterpret_cast<const std::uint32_t*>(&packed);
      }
#pragma unroll
      for (int n = 0; n < ValueWidth / 16; ++n) {
        std::uint32_t b[4];
        load_matrix_x4_transposed(
            b, values + (k * 16 + lane % 16) * ValueTile::kPitch + (n * 2 + lane / 16) * 16);
        multiply_16x8x16(result[2 * n], a, b[0], b[1]);
        multiply_16x8x16(result[2 * n + 1], a, b[2], b[3]);
      }
    }
    __syncthreads();  // before the next step overwrites this one's stage
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float all = sum[half];
    all += __shfl_xor_sync(0xffffffffu, all, 1);
    all += __shfl_xor_sync(0xffffffffu, all, 2);
    const float scale_back = Masked && p.zero_if_masked && all == 0 ? 0.0f : 1.0f / all;
    const int row = first_query + warp * 16 + lane / 4 + half * 8;
    if (row >= p.queries) continue;
    __half* to = const_cast<__half*>(at(p.output, image, head)) +
                 static_cast<std::int64_t>(row) * p.output.token_stride + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < ValueWidth / 8; ++n) {
      if (n >= value_chunks) break;
      *reinterpret_cast<__half2*>(to + n * 8) =
          __floats2half2_rn(result[n][half * 2] * scale_back, result[n][half * 2 + 1] * scale_back);
    }
  }
}

/// A compiled pair of widths; narrower heads are padded with zeros in shared memory.
struct Variant {
  int query_width, value_width;
  const void* plain;
  const void* masked;
  int shared_bytes;
};
template <int QueryWidth, int ValueWidth>
Variant make_variant() {
  return {QueryWidth, ValueWidth,
          reinterpret_cast<const void*>(&attention_kernel<QueryWidth, ValueWidth, false>),
          reinterpret_cast<const void*>(&attention_kernel<QueryWidth, ValueWidth, true>),
          kQueries * Tile<QueryWidth>::kPitch +
              2 * kKeys * (Tile<QueryWidth>::kPitch + Tile<ValueWidth>::kPitch)};
}

const Variant* find_variant(const AttentionParams& p) {
  static const Variant variants[] = {make_variant<32, 32>(), make_variant<32, 64>(),
                                     make_variant<64, 64>(), make_variant<128, 128>()};
  if (p.query_width % 8 != 0 || p.value_width % 8 != 0) return nullptr;
  for (const Variant& variant : variants) {
    if (p.query_width <= variant.query_width && p.value_width <= variant.value_width) {
      return &variant;
    }
  }
  return nullptr;
}

bool reads_16_bytes(const AttentionTensor& t) {
  return t.image_stride % 8 == 0 && t.head_stride % 8 == 0 && t.token_stride % 8 == 0 &&
         reinterpret_cast<std::uintptr_t>(t.data) % 16 == 0;
}

}  // namespace

bool attention_supports(const AttentionParams& p) {
  return find_variant(p) != nullptr && p.batch <= 65535 && p.heads <= 65535 &&
         reads_16_bytes(p.query) && reads_16_bytes(p.key) && reads_16_bytes(p.value) &&
         reads_16_bytes(p.output);
}

void launch_attention(const AttentionParams& p, bool overlapped, cudaStream_t stream) {
  const Variant& variant = *find_variant(p);
  const void* kernel = p.plain() ? variant.plain : variant.masked;
  // Above 48 KB a kernel must be told; the call is cheap and legal during capture.
  CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  variant.shared_bytes));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(p.queries, kQueries)),
                    static_cast<unsigned>(p.heads), static_cast<unsigned>(p.batch));
  shape.block = dim3(kThreads);
  shape.shared_bytes = variant.shared_bytes;
  shape.overlapped = overlapped;
  launch(kernel, shape, p, stream);
}

}  // namespace peregrine::cuda
