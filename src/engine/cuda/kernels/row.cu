// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "engine/cuda/kernels/rows.cuh"

// A warp owns a contiguous row and keeps it in registers: the row is read once, by 16-byte loads
// that are all under way at once. Two or three of these kernels stand in every transformer block.
namespace peregrine::cuda {
namespace {

constexpr int kPack = 8;
constexpr int kMaxWarps = 4;

__device__ __forceinline__ float sum_of_warp(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}
__device__ __forceinline__ float maximum_of_warp(float value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2)
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
  return value;
}

template <int kPacks>
struct Row {
  float values[kPacks][kPack];
};

// The branch on the type stands outside, so that the loads of a row do not wait for each other.
template <typename T, int kPacks>
__device__ __forceinline__ void load_row_of(Row<kPacks>& row, const T* base, int lane, int width,
                                            float otherwise) {
  Pack<T, kPack> packs[kPacks];
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const int at = (i * 32 + lane) * kPack;
    if (at < width) packs[i] = *reinterpret_cast<const Pack<T, kPack>*>(base + at);
  }
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const bool valid = (i * 32 + lane) * kPack < width;
#pragma unroll
    for (int k = 0; k < kPack; ++k) {
      row.values[i][k] = valid ? static_cast<float>(packs[i].values[k]) : otherwise;
    }
  }
}
template <int kPacks>
__device__ __forceinline__ void load_row(Row<kPacks>& row, const RowTensor& tensor, int start,
                                         int lane, int width, float otherwise) {
  if (tensor.dtype == DType::kFloat16) {
    load_row_of(row, static_cast<const __half*>(tensor.data) + start, lane, width, otherwise);
  } else {
    load_row_of(row, static_cast<const float*>(tensor.data) + start, lane, width, otherwise);
  }
}

template <int kPacks>
__device__ __forceinline__ void store_row(const Row<kPacks>& row, const RowTensor& tensor,
                                          int start, int lane, int width) {
  const bool half = tensor.dtype == DType::kFloat16;
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const int at = (i * 32 + lane) * kPack;
    if (at >= width) continue;
    if (half) {
      *reinterpret_cast<Half8*>(static_cast<__half*>(tensor.data) + start + at) =
          to_half8(row.values[i]);
    } else {
      store_pack(tensor.data, DType::kFloat32, start + at, row.values[i]);
    }
  }
}

template <int kPacks, typename F>
__device__ __forceinline__ void each(Row<kPacks>& row, F&& f) {
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
#pragma unroll
    for (int k = 0; k < kPack; ++k) f(row.values[i][k], i, k);
  }
}

template <int kPacks>
__device__ __forceinline__ void softmax(Row<kPacks>& row, bool logarithm) {
  float best = -INFINITY, sum = 0;
  each(row, [&](float& x, int, int) { best = fmaxf(best, x); });
  best = maximum_of_warp(best);
  if (logarithm) {
    each(row, [&](float& x, int, int) { sum += __expf(x - best); });
    const float shift = best + logf(sum_of_warp(sum));
    each(row, [&](float& x, int, int) { x -= shift; });
    return;
  }
  each(row, [&](float& x, int, int) {
    x = __expf(x - best);
    sum += x;
  });
  const float factor = 1.0F / sum_of_warp(sum);
  each(row, [&](float& x, int, int) { x *= factor; });
}

// Scale and bias are asked for before the sums, and are there after them.
template <int kPacks>
__device__ __forceinline__ void normalize(Row<kPacks>& row, const NormalizeParams& p, int index,
                                          int lane) {
  const int width = p.rows.elements.count;
  Row<kPacks> scale, bias;
  if (p.scale.data) {
    load_row(scale, p.scale, offset_of(index, p.rows.rows, p.scale.row_strides), lane, width, 0);
  }
  if (p.bias.data) {
    load_row(bias, p.bias, offset_of(index, p.rows.rows, p.bias.row_strides), lane, width, 0);
  }
  const float share = 1.0F / static_cast<float>(width);
  if (p.kind == Normalization::kLayer) {
    float sum = 0;
    each(row, [&](float& x, int, int) { sum += x; });
    const float mean = sum_of_warp(sum) * share;
#pragma unroll
    for (int i = 0; i < kPacks; ++i) {
      if ((i * 32 + lane) * kPack >= width) break;  // what is past the end stays 0
#pragma unroll
      for (int k = 0; k < kPack; ++k) row.values[i][k] -= mean;
    }
  }
  float squares = 0;
  each(row, [&](float& x, int, int) { squares += x * x; });
  const float factor = rsqrtf(sum_of_warp(squares) * share + p.epsilon);
  each(row, [&](float& x, int, int) { x *= factor; });
  if (p.scale.data) each(row, [&](float& x, int i, int k) { x *= scale.values[i][k]; });
  if (p.bias.data) each(row, [&](float& x, int i, int k) { x += bias.values[i][k]; });
}

template <int kPacks>
__global__ void __launch_bounds__(32 * kMaxWarps)
    row_kernel(const __grid_constant__ NormalizeParams p) {
  let_next_kernel_start();
  const int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (index >= p.rows.rows.count) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int width = p.rows.elements.count;
  const int from = offset_of(index, p.rows.rows, p.input.row_strides);
  const int to = offset_of(index, p.rows.rows, p.output.row_strides);
  const bool soft = p.kind == Normalization::kSoftmax || p.kind == Normalization::kLogSoftmax;
  wait_for_previous_kernel();
  Row<kPacks> row;
  load_row(row, p.input, from, lane, width, soft ? -INFINITY : 0.0F);
  if (soft) {
    softmax(row, p.kind == Normalization::kLogSoftmax);
  } else {
    normalize(row, p, index, lane);
  }
  store_row(row, p.output, to, lane, width);
}

const void* kernel_of(int packs) {
  switch (packs) {
    case 1: return reinterpret_cast<const void*>(&row_kernel<1>);
    case 2: return reinterpret_cast<const void*>(&row_kernel<2>);
    case 3: return reinterpret_cast<const void*>(&row_kernel<3>);
    case 4: return reinterpret_cast<const void*>(&row_kernel<4>);
    default: return reinterpret_cast<const void*>(&row_kernel<8>);
  }
}

}  // namespace

void launch_normalize_in_registers(const NormalizeParams& params, int packs, bool overlapped,
                                   cudaStream_t stream) {
  // Few rows spread over the multiprocessors (132 on an H200) before they share one.
  const int rows = params.rows.rows.count;
  const int warps = std::clamp(rows / 132, 1, kMaxWarps);
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(rows, warps)));
  shape.block = dim3(static_cast<unsigned>(32 * warps));
  shape.overlapped = overlapped;
  launch(kernel_of(packs), shape, params, stream);
}

}  // namespace peregrine::cuda
