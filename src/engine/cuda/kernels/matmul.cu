// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/kernels/matmul.cuh"

// A block of four warps makes 64 x 64 of a product in steps of 32 along K. A matrix goes to shared
// memory in lines along the axis that is contiguous in memory, K or not; ldmatrix transposes what
// lies the other way.
namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kTile = 64;  // rows and columns of a block
constexpr int kStep = 32;  // of K
constexpr int kStages = 3;
constexpr int kSumPitch = kTile + 8;

/// A step of one matrix in shared memory: `Lines` lines of `Width` halves, eight of padding, so
/// that the eight rows of an ldmatrix start in different banks.
template <int Lines, int Width>
struct Panel {
  static constexpr int kPitch = (Width + 8) * 2;  // bytes
  static constexpr int kBytes = Lines * kPitch;
  static constexpr int kChunks = Width / 8;

  /// Lines [line, line + Lines) and elements [element, element + Width), zeros past the limits.
  static __device__ __forceinline__ void copy(unsigned char* to, const StridedMatrix& from,
                                              std::int64_t base, std::int64_t line_stride,
                                              std::int64_t element_stride, bool vectors, int line,
                                              int line_limit, int element, int element_limit) {
#pragma unroll
    for (int i = static_cast<int>(threadIdx.x); i < Lines * kChunks; i += kThreads) {
      const int l = i / kChunks, chunk = i % kChunks;
      const int left = line + l < line_limit ? element_limit - element - chunk * 8 : 0;
      unsigned char* place = to + l * kPitch + chunk * 16;
      const std::int64_t at =
          base + (line + l) * line_stride + (element + chunk * 8) * element_stride;
      if (vectors) {
        const int bytes = max(0, min(16, left * 2));
        copy_up_to_16_async(shared_address(place), static_cast<const __half*>(from.data) + at,
                            bytes);
        continue;
      }
      float value[8];
#pragma unroll
      for (int j = 0; j < 8; ++j) value[j] = j < left ? load(from, at + j * element_stride) : 0.0f;
      *reinterpret_cast<Half8*>(place) = to_half8(value);
    }
  }
};
using Wide = Panel<kStep, kTile>;  // lines along M or N
using Deep = Panel<kTile, kStep>;  // lines along K
constexpr int kPanelBytes = Deep::kBytes > Wide::kBytes ? Deep::kBytes : Wide::kBytes;

/// `AWide`: a is contiguous along M; `BWide`: b along N.
template <bool AWide, bool BWide>
__global__ void __launch_bounds__(kThreads) matmul_kernel(const __grid_constant__ MatmulParams p) {
  constexpr int kStagesBytes = kStages * 2 * kPanelBytes, kSumBytes = kTile * kSumPitch * 4;
  __shared__ __align__(
      16) unsigned char shared[kStagesBytes > kSumBytes ? kStagesBytes : kSumBytes];
  let_next_kernel_start();
  const int batch = static_cast<int>(blockIdx.z);
  const int first_row = static_cast<int>(blockIdx.y) * kTile;
  const int first_column = static_cast<int>(blockIdx.x) * kTile;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  const std::int64_t a_base = batch_offset(p, p.a, batch), b_base = batch_offset(p, p.b, batch);
  const auto load_step = [&](int step) {
    unsigned char* a = shared + step % kStages * 2 * kPanelBytes;
    const int k = step * kStep;
    if constexpr (AWide) {
      Wide::copy(a, p.a, a_base, p.a.column_stride, p.a.row_stride, p.a_vectors, k, p.k, first_row,
                 p.m);
    } else {
      Deep::copy(a, p.a, a_base, p.a.row_stride, p.a.column_stride, p.a_vectors, first_row, p.m, k,
                 p.k);
    }
    unsigned char* b = a + kPanelBytes;
    if constexpr (BWide) {
      Wide::copy(b, p.b, b_base, p.b.row_stride, p.b.column_stride, p.b_vectors, k, p.k,
                 first_column, p.n);
    } else {
      Deep::copy(b, p.b, b_base, p.b.column_stride, p.b.row_stride, p.b_vectors, first_column, p.n,
                 k, p.k);
    }
  };
  wait_for_previous_kernel();
  const int steps = (p.k + kStep - 1) / kStep;
#pragma unroll 1
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) load_step(s);
    commit_copies();
  }
  float sum[2][4][4] = {};
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) load_step(step + kStages - 1);
    commit_copies();
    const std::uint32_t a_panel = shared_address(shared) + step % kStages * 2 * kPanelBytes;
    const std::uint32_t b_panel = a_panel + kPanelBytes;
#pragma unroll
    for (int k = 0; k < kStep; k += 16) {
      std::uint32_t a[2][4], b[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int m = warp_row + i * 16, n = warp_column + i * 16;
        if constexpr (AWide) {
          load_matrix_x4_transposed(a[i], a_panel + (k + lane / 16 * 8 + lane % 8) * Wide::kPitch +
                                              (m + lane / 8 % 2 * 8) * 2);
        } else {
          load_matrix_x4(a[i], a_panel + (m + lane % 16) * Deep::kPitch + (k + lane / 16 * 8) * 2);
        }
        if constexpr (BWide) {
          load_matrix_x4_transposed(
              b[i], b_panel + (k + lane % 16) * Wide::kPitch + (n + lane / 16 * 8) * 2);
        } else {
          load_matrix_x4(b[i], b_panel + (n + lane % 8 + lane / 16 * 8) * Deep::kPitch +
                                   (k + lane / 8 % 2 * 8) * 2);
        }
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          multiply_16x8x16(sum[i][2 * j], a[i], b[j][0], b[j][1]);
          multiply_16x8x16(sum[i][2 * j + 1], a[i], b[j][2], b[j][3]);
        }
      }
    }
  }
  wait_copies<0>();
  __syncthreads();

  // The sums meet in shared memory, where a thread picks up eight neighbouring columns.
  float* sums = reinterpret_cast<float*>(shared);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float* to =
          sums + (warp_row + i * 16 + lane / 4) * kSumPitch + warp_column + j * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(to) = make_float2(sum[i][j][0], sum[i][j][1]);
      *reinterpret_cast<float2*>(to + 8 * kSumPitch) = make_float2(sum[i][j][2], sum[i][j][3]);
    }
  }
  __syncthreads();
  const std::int64_t base = batch_offset(p, p.output, batch);
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile / 8; i += kThreads) {
    const int row = first_row + i / 8, column = first_column + i % 8 * 8;
    if (row >= p.m || column >= p.n) continue;
    float value[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) value[j] = sums[i / 8 * kSumPitch + i % 8 * 8 + j];
    finish(p, batch, row, column, value);
    const std::int64_t at = base + row * p.output.row_stride + column * p.output.column_stride;
    if (p.vector_store) {
      *reinterpret_cast<Half8*>(static_cast<__half*>(p.output.data) + at) = to_half8(value);
      continue;
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      if (column + j >= p.n) break;
      const std::int64_t to = at + j * p.output.column_stride;
      if (p.output.half) {
        static_cast<__half*>(p.output.data)[to] = __float2half_rn(value[j]);
      } else {
        static_cast<float*>(p.output.data)[to] = value[j];
      }
    }
  }
}

/// 16-byte accesses along an axis of stride 1.
bool is_aligned(const StridedMatrix& t, std::int64_t line_stride) {
  return t.half && line_stride % 8 == 0 && reinterpret_cast<std::uintptr_t>(t.data) % 16 == 0 &&
         std::all_of(t.batch_stride.begin(), t.batch_stride.end(),
                     [](std::int64_t stride) { return stride % 8 == 0; });
}

}  // namespace

void launch_matmul(MatmulParams p, bool overlapped, cudaStream_t stream) {
  // Where neither stride is 1, either way reads element by element.
  const bool a_wide = p.a.column_stride != 1 && p.a.row_stride == 1;
  const bool b_wide = p.b.column_stride == 1 || p.b.row_stride != 1;
  p.a_vectors = (a_wide || p.a.column_stride == 1) &&
                is_aligned(p.a, a_wide ? p.a.column_stride : p.a.row_stride);
  p.b_vectors = (p.b.column_stride == 1 || p.b.row_stride == 1) &&
                is_aligned(p.b, b_wide ? p.b.row_stride : p.b.column_stride);
  p.vector_store =
      p.n % 8 == 0 && p.output.column_stride == 1 && is_aligned(p.output, p.output.row_stride);
  const auto address = [](auto* kernel) { return reinterpret_cast<const void*>(kernel); };
  const void* kernel =
      a_wide
          ? (b_wide ? address(&matmul_kernel<true, true>) : address(&matmul_kernel<true, false>))
          : (b_wide ? address(&matmul_kernel<false, true>) : address(&matmul_kernel<false, false>));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(p.n, kTile)),
                    static_cast<unsigned>(ceil_div(p.m, kTile)), static_cast<unsigned>(p.batches));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(kernel, shape, p, stream);
}

}  // namespace peregrine::cuda
