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

// A row that has been asked for: nothing waits for it before `unpack`.
template <int kPacks>
struct EarlyRow {
  EarlyPack<kPack> packs[kPacks];

  __device__ __forceinline__ void load(const RowTensor& tensor, int start, int lane, int width) {
#pragma unroll
    for (int i = 0; i < kPacks; ++i) {
      const int at = (i * 32 + lane) * kPack;
      if (at < width) packs[i].load(tensor.data, tensor.dtype, start + at);
    }
  }
  __device__ __forceinline__ void unpack(Row<kPacks>& row, const RowTensor& tensor, int lane,
                                         int width, float otherwise) const {
#pragma unroll
    for (int i = 0; i < kPacks; ++i) {
      packs[i].unpack(tensor.dtype, row.values[i]);
      if ((i * 32 + lane) * kPack < width) continue;
#pragma unroll
      for (int k = 0; k < kPack; ++k) row.values[i][k] = otherwise;
    }
  }
};

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

template <int kPacks>
__device__ __forceinline__ void normalize(Row<kPacks>& row, const NormalizeParams& p, int lane,
                                          const EarlyRow<kPacks>& scale,
                                          const EarlyRow<kPacks>& bias) {
  const int width = p.rows.elements.count;
  const float share = 1.0F / static_cast<float>(width);
  if (p.kind == Normalization::kLayer) {
    float sum = 0;
    each(row, [&](float& x, int, int) { sum += x; });
    const float mean = sum_of_warp(sum) * share;
    each(row, [&](float& x, int i, int) {
      x = (i * 32 + lane) * kPack < width ? x - mean : 0.0F;  // what is past the end stays 0
    });
  }
  float squares = 0;
  each(row, [&](float& x, int, int) { squares += x * x; });
  const float factor = rsqrtf(sum_of_warp(squares) * share + p.epsilon);
  each(row, [&](float& x, int, int) { x *= factor; });
  Row<kPacks> factors;
  if (p.scale.data) {
    scale.unpack(factors, p.scale, lane, width, 0);
    each(row, [&](float& x, int i, int k) { x *= factors.values[i][k]; });
  }
  if (p.bias.data) {
    bias.unpack(factors, p.bias, lane, width, 0);
    each(row, [&](float& x, int i, int k) { x += factors.values[i][k]; });
  }
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
  EarlyRow<kPacks> early, scale, bias;
  early.load(p.input, from, lane, width);
  if (p.scale.data) {
    scale.load(p.scale, offset_of(index, p.rows.rows, p.scale.row_strides), lane, width);
  }
  if (p.bias.data) {
    bias.load(p.bias, offset_of(index, p.rows.rows, p.bias.row_strides), lane, width);
  }
  Row<kPacks> row;
  early.unpack(row, p.input, lane, width, soft ? -INFINITY : 0.0F);
  if (soft) {
    softmax(row, p.kind == Normalization::kLogSoftmax);
  } else {
    normalize(row, p, lane, scale, bias);
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
