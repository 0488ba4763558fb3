// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cfloat>

#include <cuda_fp16.h>

#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/kernels/instructions.cuh"

// The running softmax that all attention kernels share, and how results over different keys become
// one: FlashAttention-2 (Dao, 2023) and its split over keys, here among a block's warps.
namespace peregrine::cuda {

constexpr float kLog2e = 1.44269504f;

__device__ __forceinline__ const __half* at(const AttentionTensor& t, int image, int head) {
  return static_cast<const __half*>(t.data) + image * t.image_stride +
         static_cast<std::int64_t>(head) * t.head_stride;
}

/// The head of keys and values that a head of queries reads.
__device__ __forceinline__ int key_head(const AttentionParams& p, int head) {
  return p.heads_per_key == 1 ? head : head / p.heads_per_key;
}

/// One thread's share of copying rows of `Rows::kWidth` elements to shared memory with `Threads`
/// threads: a fixed chunk of every kRowsPerPass-th row, so that addresses are sums.
template <typename Rows, int Threads>
struct RowCopy {
  static constexpr int kChunks = Rows::kWidth / 8;
  static constexpr int kRowsPerPass = Threads / kChunks;
  static constexpr int kPassBytes = kRowsPerPass * Rows::kPitch;
  static_assert(kRowsPerPass % Rows::kPeriod == 0);
  const __half* from;
  int row;  // of the first pass; beyond all limits where the chunk is beyond the width
  int to, stride;

  __device__ RowCopy(const AttentionTensor& t, int image, int head, int width)
      : row(static_cast<int>(threadIdx.x) % Threads / kChunks), stride(t.token_stride) {
    const int chunk = static_cast<int>(threadIdx.x) % kChunks;
    to = Rows::offset(row, chunk);
    from = at(t, image, head) + static_cast<std::int64_t>(row) * stride + chunk * 8;
    if (chunk * 8 >= width) row = 1 << 30;
  }
  /// `Count` rows of the tensor from `first` on, of which `left` are there; zeros for the others
  /// and beyond the width. Unless `Whole`, leaves passes without any row alone.
  template <int Count, bool Whole>
  __device__ __forceinline__ void copy(std::uint32_t tile, int first, int left) const {
    static_assert(Count % kRowsPerPass == 0 || Count < kRowsPerPass);
    if (Count < kRowsPerPass && static_cast<int>(threadIdx.x) >= Count * kChunks) return;
    const __half* rows = from + static_cast<std::int64_t>(first) * stride;
#pragma unroll
    for (int i = 0; i < (Count + kRowsPerPass - 1) / kRowsPerPass; ++i) {
      if (!Whole && i * kRowsPerPass >= left) break;
      copy_16_async(tile + to + i * kPassBytes, rows + i * (kRowsPerPass * stride),
                    row + i * kRowsPerPass < left);
    }
  }
};

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// What a warp knows about its 16 queries after some keys; a thread holds parts of rows lane/4 and
/// lane/4 + 8 as an m16n8 product lays them out. Exponentials are of base 2.
template <int ValueWidth>
struct RunningResult {
  float value[ValueWidth / 8][4] = {};  ///< sums of exp2(score * factor - maximum * factor) * V
  float maximum[2] = {-FLT_MAX, -FLT_MAX};
  float sum[2] = {};  ///< of this thread's columns only

  /// Scores become weights; `sum` takes them in. True, for all of a warp at once, where `value`
  /// must be multiplied by `shrink` before it does. Weights are taken relative to an older maximum
  /// as long as they stay below 2^8, which FP16 and the sums hold as well as 1.
  template <int Columns>
  __device__ __forceinline__ bool weigh(float (&score)[Columns][4], float factor,
                                        float (&shrink)[2]) {
    constexpr float kMostGrowth = 8;
    float best[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      best[half] = maximum[half];
#pragma unroll
      for (int n = 0; n < Columns; ++n) {
        best[half] = fmaxf(best[half], fmaxf(score[n][half * 2], score[n][half * 2 + 1]));
      }
      // The four threads of a quad hold one row.
      best[half] = fmaxf(best[half], __shfl_xor_sync(0xffffffffu, best[half], 1));
      best[half] = fmaxf(best[half], __shfl_xor_sync(0xffffffffu, best[half], 2));
    }
    const bool grown = (best[0] - maximum[0]) * factor > kMostGrowth ||
                       (best[1] - maximum[1]) * factor > kMostGrowth;
    const bool stale = __any_sync(0xffffffffu, grown);
    if (stale) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        shrink[half] = exp2_fast((maximum[half] - best[half]) * factor);
        sum[half] *= shrink[half];
        maximum[half] = best[half];
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float offset = -maximum[half] * factor;
      float added[2] = {};  // two chains of additions
#pragma unroll
      for (int n = 0; n < Columns; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& s = score[n][half * 2 + i];
          s = exp2_fast(fmaf(s, factor, offset));
          added[i] += s;
        }
      }
      sum[half] += added[0] + added[1];
    }
    return stale;
  }

  __device__ __forceinline__ void rescale(const float (&shrink)[2]) {
#pragma unroll
    for (int n = 0; n < ValueWidth / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) value[n][i] *= shrink[i / 2];
    }
  }

  /// `sum` over the whole row.
  __device__ __forceinline__ void finish_sums() {
#pragma unroll
    for (float& s : sum) {
      s += __shfl_xor_sync(0xffffffffu, s, 1);
      s += __shfl_xor_sync(0xffffffffu, s, 2);
    }
  }
};

/// Weights of 16 keys as the left operand of a product: their layout as a result is their layout as
/// a left matrix.
__device__ __forceinline__ void pack_weights(const float (&score)[2][4], std::uint32_t (&a)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const __half2 pair = __floats2half2_rn(score[i / 2][i % 2 * 2], score[i / 2][i % 2 * 2 + 1]);
    a[i] = *reinterpret_cast<const std::uint32_t*>(&pair);
  }
}

/// Results of `Parts` groups of warps over different keys, for the same `Rows` queries, in shared
/// memory: first [part][row] of values, then [part][row] of (maximum, sum).
template <int ValueWidth, int Rows, int Parts>
struct PartialResults {
  // Eight floats of padding: the 8-byte writes of a half-warp (4 rows x 4 pairs) cover all banks.
  static constexpr int kPitch = ValueWidth + 8;
  static constexpr int kRowsOffset = Parts * Rows * kPitch * 4;
  static constexpr int kBytes = kRowsOffset + Parts * Rows * 8;

  /// `row`: of this thread's first half. `result` has finished sums.
  static __device__ __forceinline__ void store(unsigned char* shared, int part, int row,
                                               const RunningResult<ValueWidth>& result,
                                               float factor) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int place = part * Rows + row + half * 8;
      float* to = reinterpret_cast<float*>(shared) + place * kPitch + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < ValueWidth / 8; ++n) {
        *reinterpret_cast<float2*>(to + n * 8) =
            make_float2(result.value[n][half * 2], result.value[n][half * 2 + 1]);
      }
      if (lane % 4 == 0) {
        reinterpret_cast<float2*>(shared + kRowsOffset)[place] =
            make_float2(result.maximum[half] * factor, result.sum[half]);
      }
    }
  }

  /// Joins the parts, which all threads of the block see, and writes the output.
  static __device__ __forceinline__ void write(const AttentionParams& p,
                                               const unsigned char* shared, int image, int head,
                                               int first_query) {
    constexpr int kChunks = ValueWidth / 8;
    __half* output = const_cast<__half*>(at(p.output, image, head));
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < Rows * kChunks;
         i += static_cast<int>(blockDim.x)) {
      const int row = i / kChunks, column = i % kChunks * 8;
      if (first_query + row >= p.queries || column >= p.value_width) continue;
      float2 of_row[Parts];  // maximum, sum
      float maximum = -FLT_MAX, sum = 0, value[8] = {};
#pragma unroll
      for (int part = 0; part < Parts; ++part) {
        of_row[part] = reinterpret_cast<const float2*>(shared + kRowsOffset)[part * Rows + row];
        maximum = fmaxf(maximum, of_row[part].x);
      }
#pragma unroll
      for (int part = 0; part < Parts; ++part) {
        const float4* values = reinterpret_cast<const float4*>(
            reinterpret_cast<const float*>(shared) + (part * Rows + row) * kPitch + column);
        const float4 low = values[0], high = values[1];
        const float weight = exp2_fast(of_row[part].x - maximum);
        const float more[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
        sum += of_row[part].y * weight;
#pragma unroll
        for (int k = 0; k < 8; ++k) value[k] += more[k] * weight;
      }
      const float scale_back = __fdividef(1.0f, sum);
#pragma unroll
      for (float& v : value) v *= scale_back;
      *reinterpret_cast<Half8*>(
          output + static_cast<std::int64_t>(first_query + row) * p.output.token_stride + column) =
          to_half8(value);
    }
  }
};

}  // namespace peregrine::cuda
