// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "engine/cuda/kernels/rows.cuh"

namespace peregrine::cuda {
namespace {

template <typename T>
__device__ __forceinline__ T lowest() {
  if constexpr (std::is_integral_v<T>) {
    return std::numeric_limits<T>::min();
  } else {
    return -std::numeric_limits<T>::infinity();
  }
}
template <typename T>
__device__ __forceinline__ T highest() {
  if constexpr (std::is_integral_v<T>) {
    return std::numeric_limits<T>::max();
  } else {
    return std::numeric_limits<T>::infinity();
  }
}

template <typename T>
__device__ __forceinline__ T start_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::kProd: return 1;
    case ReduceOp::kMax:
    case ReduceOp::kLogSumExp: return lowest<T>();
    case ReduceOp::kMin: return highest<T>();
    default: return 0;
  }
}

template <typename T>
__device__ __forceinline__ T join(ReduceOp op, T a, T b) {
  switch (op) {
    case ReduceOp::kProd: return a * b;
    case ReduceOp::kMax:
    case ReduceOp::kLogSumExp: return a > b ? a : b;
    case ReduceOp::kMin: return a < b ? a : b;
    default: return a + b;
  }
}

// The switch is paid once for four values.
template <typename T, int N>
__device__ __forceinline__ void take_in(ReduceOp op, T& sum, const T (&x)[N],
                                        const bool (&valid)[N]) {
  switch (op) {
    case ReduceOp::kL1:
#pragma unroll
      for (int k = 0; k < N; ++k) sum += x[k] < 0 ? -x[k] : x[k];
      return;
    case ReduceOp::kL2:
    case ReduceOp::kSumSquare:
#pragma unroll
      for (int k = 0; k < N; ++k) sum += x[k] * x[k];
      return;
    case ReduceOp::kProd:
    case ReduceOp::kMax:
    case ReduceOp::kMin:
    case ReduceOp::kLogSumExp:  // first the maximum, so that exp cannot overflow
#pragma unroll
      for (int k = 0; k < N; ++k) {
        if (valid[k]) sum = join(op, sum, x[k]);
      }
      return;
    default:  // values past the end are 0
#pragma unroll
      for (int k = 0; k < N; ++k) sum += x[k];
  }
}

template <typename T>
__device__ __forceinline__ T finish(ReduceOp op, T sum, int count) {
  switch (op) {
    case ReduceOp::kMean: return count == 0 ? sum : sum / static_cast<T>(count);
    case ReduceOp::kL2:
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(sqrt(static_cast<double>(sum)));
      } else {
        return sqrtf(sum);
      }
    case ReduceOp::kLogSum:
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(log(static_cast<double>(sum)));
      } else {
        return logf(sum);
      }
    default: return sum;
  }
}

template <typename T>
__device__ __forceinline__ void write_row(const ReduceParams& p, const RowPlace& place, T value) {
  if (!place.valid || place.part != 0) return;
  const int at[1] = {offset_of(place.row, p.rows.rows, p.output.row_strides)};
  const T values[1] = {value};
  scatter(p.output.data, p.output.dtype, at, {true}, values);
}

template <typename T>
__global__ void __launch_bounds__(1024) reduce_kernel(const __grid_constant__ ReduceParams p) {
  __shared__ T shared[1024];
  let_next_kernel_start();
  const RowPlace place = place_in(p.rows);
  wait_for_previous_kernel();
  T sum = start_of<T>(p.op);
  each_element<T>(p.rows, place, p.input, [&](const auto& x, const auto&, const auto& valid) {
    take_in(p.op, sum, x, valid);
  });
  sum = combine(p.rows, place, sum, shared, [&](T a, T b) { return join(p.op, a, b); });
  if constexpr (std::is_floating_point_v<T>) {
    if (p.op == ReduceOp::kLogSumExp) {
      const float largest = sum;
      float exps = 0;
      each_element<T>(p.rows, place, p.input, [&](const auto& x, const auto&, const auto& valid) {
#pragma unroll
        for (int k = 0; k < 4; ++k) exps += valid[k] ? expf(x[k] - largest) : 0.0F;
      });
      exps = combine(p.rows, place, exps, shared, [](float a, float b) { return a + b; });
      sum = isinf(largest) ? largest : largest + logf(exps);
    }
  }
  write_row(p, place, finish(p.op, sum, p.rows.elements.count));
}

template <typename T>
__global__ void __launch_bounds__(1024) find_kernel(const __grid_constant__ ReduceParams p) {
  __shared__ Best<T> shared[1024];
  let_next_kernel_start();
  const RowPlace place = place_in(p.rows);
  wait_for_previous_kernel();
  const bool largest = p.op == ReduceOp::kArgMax, last = p.select_last;
  // The earlier of equals, or the later. An index of -1 is nothing yet.
  const auto better = [=](Best<T> a, Best<T> b) {
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    if (a.value == b.value) return (a.index < b.index) != last ? a : b;
    return (a.value > b.value) == largest ? a : b;
  };
  Best<T> best{0, -1};
  each_element<T>(p.rows, place, p.input, [&](const auto& x, const auto& index, const auto& valid) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (valid[k]) best = better(best, Best<T>{x[k], index[k]});
    }
  });
  best = combine(p.rows, place, best, shared, better);
  write_row(p, place, static_cast<std::int64_t>(max(best.index, 0)));
}

const void* kernel_of(const ReduceParams& params) {
  if (params.op == ReduceOp::kArgMax || params.op == ReduceOp::kArgMin) {
    return params.integers ? reinterpret_cast<const void*>(&find_kernel<std::int64_t>)
                           : reinterpret_cast<const void*>(&find_kernel<float>);
  }
  return params.integers ? reinterpret_cast<const void*>(&reduce_kernel<std::int64_t>)
                         : reinterpret_cast<const void*>(&reduce_kernel<float>);
}

}  // namespace

void launch_reduce(const ReduceParams& params, bool overlapped, cudaStream_t stream) {
  if (params.rows.rows.count == 0) return;
  launch(kernel_of(params), launch_shape(params.rows, overlapped), params, stream);
}

}  // namespace peregrine::cuda
