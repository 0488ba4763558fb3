// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/rows.cuh"

// A warp walks a row, 32 elements at a time, carrying the sum along.
namespace peregrine::cuda {
namespace {

constexpr int kWarps = 4;

template <typename T>
__global__ void __launch_bounds__(32 * kWarps)
    cumulative_sum_kernel(const __grid_constant__ CumulativeSumParams p) {
  let_next_kernel_start();
  const int row = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32;
  if (row >= p.rows.rows.count) return;
  const int lane = static_cast<int>(threadIdx.x) % 32, count = p.rows.elements.count;
  const int from = offset_of(row, p.rows.rows, p.input.row_strides);
  const int to = offset_of(row, p.rows.rows, p.output.row_strides);
  wait_for_previous_kernel();
  T carry = 0;
  for (int first = 0; first < count; first += 32) {
    const bool valid[1] = {first + lane < count};
    const int index = p.reverse ? count - 1 - (first + lane) : first + lane;
    const int source[1] = {from + offset_of(index, p.rows.elements, p.input.element_strides)};
    T x[1];
    gather(x, p.input.data, p.input.dtype, source, valid);
    T sum = x[0];
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
      const T before = __shfl_up_sync(0xffffffffu, sum, step);
      if (lane >= step) sum += before;
    }
    const T before = __shfl_up_sync(0xffffffffu, sum, 1);
    const T result[1] = {carry + (!p.exclusive ? sum : lane == 0 ? T(0) : before)};
    const int place[1] = {to + offset_of(index, p.rows.elements, p.output.element_strides)};
    scatter(p.output.data, p.output.dtype, place, valid, result);
    carry += __shfl_sync(0xffffffffu, sum, 31);
  }
}

}  // namespace

void launch_cumulative_sum(const CumulativeSumParams& params, bool overlapped,
                           cudaStream_t stream) {
  if (params.rows.rows.count == 0 || params.rows.elements.count == 0) return;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(params.rows.rows.count, kWarps)));
  shape.block = dim3(32 * kWarps);
  shape.overlapped = overlapped;
  launch(params.integers ? reinterpret_cast<const void*>(&cumulative_sum_kernel<std::int64_t>)
                         : reinterpret_cast<const void*>(&cumulative_sum_kernel<float>),
         shape, params, stream);
}

}  // namespace peregrine::cuda
