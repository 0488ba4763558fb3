// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/rows.cuh"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 128;

// A thread an element; neighbours' squares come from the cache.
__global__ void __launch_bounds__(kThreads)
    local_response_kernel(const __grid_constant__ LocalResponseParams p) {
  let_next_kernel_start();
  const int thread = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int rows = p.rows.rows.count, channels = p.rows.elements.count;
  if (thread >= rows * channels) return;
  const int row = p.rows.side_by_side ? thread % rows : thread / channels;
  const int channel = p.rows.side_by_side ? thread / rows : thread % channels;
  const int from = offset_of(row, p.rows.rows, p.input.row_strides);
  const int step = p.input.element_strides[0];
  wait_for_previous_kernel();
  float squares = 0, x[1] = {0};
  const int last = min(channel + p.after, channels - 1);
  for (int k = max(channel - p.before, 0); k <= last; ++k) {
    float y[1];
    const int at[1] = {from + k * step};
    gather(y, p.input.data, p.input.dtype, at, {true});
    squares += y[0] * y[0];
    if (k == channel) x[0] = y[0];
  }
  x[0] /= powf(p.bias + p.alpha * squares, p.beta);
  const int at[1] = {offset_of(row, p.rows.rows, p.output.row_strides) +
                     channel * p.output.element_strides[0]};
  scatter(p.output.data, p.output.dtype, at, {true}, x);
}

}  // namespace

void launch_local_response(const LocalResponseParams& params, bool overlapped,
                           cudaStream_t stream) {
  const int count = params.rows.rows.count * params.rows.elements.count;
  if (count == 0) return;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(count, kThreads)));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(reinterpret_cast<const void*>(&local_response_kernel), shape, params, stream);
}

}  // namespace peregrine::cuda
