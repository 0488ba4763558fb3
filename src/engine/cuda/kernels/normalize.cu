// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/rows.cuh"

// Rows anywhere in memory, of any length. A row is read once for each statistic and once more to be
// written: it comes from L1 or L2 by then.
namespace peregrine::cuda {
namespace {

struct Statistics {
  float shift = 0, factor = 1;  // y = (x - shift) * factor
  int best = -1;                // of Hardmax
};

__device__ __forceinline__ Best<float> larger(Best<float> a, Best<float> b) {
  if (a.value == b.value) return a.index < b.index ? a : b;  // the first of equals
  return a.value > b.value ? a : b;
}

// Sum over the row of f(x); f(0) of values past the end is left out.
template <typename F>
__device__ __forceinline__ float row_sum(const NormalizeParams& p, const RowPlace& place,
                                         float* shared, F&& f) {
  float sum = 0;
  each_element<float>(p.rows, place, p.input, [&](const auto& x, const auto&, const auto& valid) {
#pragma unroll
    for (int k = 0; k < 4; ++k) sum += valid[k] ? f(x[k]) : 0.0F;
  });
  return combine(p.rows, place, sum, shared, [](float a, float b) { return a + b; });
}

__device__ __forceinline__ Best<float> row_maximum(const NormalizeParams& p, const RowPlace& place,
                                                   Best<float>* shared) {
  Best<float> best{-INFINITY, 0x7fffffff};
  each_element<float>(p.rows, place, p.input,
                      [&](const auto& x, const auto& index, const auto& valid) {
#pragma unroll
                        for (int k = 0; k < 4; ++k) {
                          if (valid[k]) best = larger(best, {x[k], index[k]});
                        }
                      });
  return combine(p.rows, place, best, shared, larger);
}

__device__ __forceinline__ Statistics statistics_of(const NormalizeParams& p, const RowPlace& place,
                                                    Best<float>* shared) {
  float* const floats = reinterpret_cast<float*>(shared);
  const auto count = static_cast<float>(p.rows.elements.count);
  switch (p.kind) {
    case Normalization::kSoftmax:
    case Normalization::kLogSoftmax:
    case Normalization::kHardmax: {
      const Best<float> best = row_maximum(p, place, shared);
      if (p.kind == Normalization::kHardmax) return {0, 1, best.index};
      const float sum = row_sum(p, place, floats, [&](float x) { return expf(x - best.value); });
      if (p.kind == Normalization::kSoftmax) return {best.value, 1.0F / sum, -1};
      return {best.value + logf(sum), 1, -1};
    }
    case Normalization::kRms: {
      const float squares = row_sum(p, place, floats, [](float x) { return x * x; });
      return {0, rsqrtf(squares / count + p.epsilon), -1};
    }
    case Normalization::kL1:
    case Normalization::kL2: {
      const bool l1 = p.kind == Normalization::kL1;
      float norm = row_sum(p, place, floats, [&](float x) { return l1 ? fabsf(x) : x * x; });
      if (!l1) norm = sqrtf(norm);
      return {0, norm == 0 ? 0.0F : 1.0F / norm, -1};
    }
    default: {
      const float mean = row_sum(p, place, floats, [](float x) { return x; }) / count;
      // The variance takes a sweep of its own: E[x^2] - E[x]^2 cancels where the mean is large.
      const float variance =
          row_sum(p, place, floats, [&](float x) { return (x - mean) * (x - mean); }) / count;
      const bool layer = p.kind == Normalization::kLayer;
      return {mean, layer ? rsqrtf(variance + p.epsilon) : 1.0F / (sqrtf(variance) + p.epsilon),
              -1};
    }
  }
}

// Multiplies or adds a tensor that broadcasts over the row.
template <int N, typename F>
__device__ __forceinline__ void with_factors(const NormalizeParams& p, const RowPlace& place,
                                             const RowTensor& tensor, float (&y)[N],
                                             const int (&index)[N], const bool (&valid)[N], F&& f) {
  if (!tensor.data) return;
  const int start = offset_of(place.row, p.rows.rows, tensor.row_strides);
  int at[N];
  float factors[N];
#pragma unroll
  for (int k = 0; k < N; ++k) {
    at[k] = start + offset_of(index[k], p.rows.elements, tensor.element_strides);
  }
  gather(factors, tensor.data, tensor.dtype, at, valid);
#pragma unroll
  for (int k = 0; k < N; ++k) y[k] = f(y[k], factors[k]);
}

__global__ void __launch_bounds__(1024)
    normalize_kernel(const __grid_constant__ NormalizeParams p) {
  __shared__ Best<float> shared[1024];
  let_next_kernel_start();
  const RowPlace place = place_in(p.rows);
  wait_for_previous_kernel();
  const Statistics s = statistics_of(p, place, shared);
  const int start = place.valid ? offset_of(place.row, p.rows.rows, p.output.row_strides) : 0;
  each_element<float>(p.rows, place, p.input, [&](auto& x, const auto& index, const auto& valid) {
    int at[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      at[k] = start + offset_of(index[k], p.rows.elements, p.output.element_strides);
      if (p.kind == Normalization::kSoftmax) {
        x[k] = expf(x[k] - s.shift) * s.factor;
      } else if (p.kind == Normalization::kHardmax) {
        x[k] = index[k] == s.best ? 1.0F : 0.0F;
      } else {
        x[k] = (x[k] - s.shift) * s.factor;
      }
    }
    with_factors(p, place, p.scale, x, index, valid, [](float y, float f) { return y * f; });
    with_factors(p, place, p.bias, x, index, valid, [](float y, float f) { return y + f; });
    scatter(p.output.data, p.output.dtype, at, valid, x);
  });
}

}  // namespace

void launch_normalize(const NormalizeParams& params, bool overlapped, cudaStream_t stream) {
  if (params.rows.rows.count == 0 || params.rows.elements.count == 0) return;
  if (const int packs = packs_in_registers(params)) {
    return launch_normalize_in_registers(params, packs, overlapped, stream);
  }
  launch(reinterpret_cast<const void*>(&normalize_kernel), launch_shape(params.rows, overlapped),
         params, stream);
}

}  // namespace peregrine::cuda
