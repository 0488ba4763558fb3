// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/element.h"
#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/kernels/rows.h"

namespace peregrine::cuda {

/// The elements of a row that fall to this thread, four at a time: f(values, indices, valid).
template <typename T, typename F>
__device__ __forceinline__ void each_element(const Rows& rows, const RowPlace& place,
                                             const RowTensor& tensor, F&& f) {
  constexpr int kBatch = 4;
  if (!place.valid) return;
  const int start = offset_of(place.row, rows.rows, tensor.row_strides);
  for (int first = place.part; first < rows.elements.count; first += kBatch * rows.parts) {
    int index[kBatch], at[kBatch];
    bool valid[kBatch];
    T values[kBatch];
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      index[k] = first + k * rows.parts;
      valid[k] = index[k] < rows.elements.count;
      at[k] = start + offset_of(index[k], rows.elements, tensor.element_strides);
    }
    gather(values, tensor.data, tensor.dtype, at, valid);
    f(values, index, valid);
  }
}

/// A candidate of ArgMax and its kin.
template <typename T>
struct Best {
  T value;
  int index;
};

template <typename T>
__device__ __forceinline__ T from_lane(T value, int step) {
  return __shfl_xor_sync(0xffffffffu, value, step);
}
template <typename T>
__device__ __forceinline__ Best<T> from_lane(Best<T> best, int step) {
  return {from_lane(best.value, step), from_lane(best.index, step)};
}

/// The values of all threads of a row as one, the same for each of them. All threads of the block
/// must come here; `shared` holds 1,024 values and may be used again at once. `f` is associative
/// and commutes.
template <typename S, typename F>
__device__ __forceinline__ S combine(const Rows& rows, const RowPlace& place, S value, S* shared,
                                     F&& f) {
  int groups = rows.parts;
  if (!rows.side_by_side) {
    for (int step = min(rows.parts, 32) / 2; step > 0; step /= 2) {
      value = f(value, from_lane(value, step));
    }
    groups = rows.parts / 32;
  }
  if (groups <= 1) return value;
  __syncthreads();
  const int group = rows.side_by_side ? place.part : place.part / 32;
  shared[group * rows.rows_per_block + place.row_of_block] = value;  // lanes write the same
  __syncthreads();
  value = shared[place.row_of_block];
  for (int k = 1; k < groups; ++k) {
    value = f(value, shared[k * rows.rows_per_block + place.row_of_block]);
  }
  return value;
}

/// This thread's place in a grid of `launch_shape`.
__device__ __forceinline__ RowPlace place_in(const Rows& rows) {
  return RowPlace(rows, static_cast<int>(blockIdx.x), static_cast<int>(threadIdx.x));
}

inline LaunchShape launch_shape(const Rows& rows, bool overlapped) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(rows.rows.count, rows.rows_per_block)));
  shape.block = dim3(static_cast<unsigned>(rows.parts * rows.rows_per_block));
  shape.overlapped = overlapped;
  return shape;
}

}  // namespace peregrine::cuda
