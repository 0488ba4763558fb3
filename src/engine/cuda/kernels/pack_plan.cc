// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/pack.h"

#include <string>

#include "engine/cuda/kernels/loop_nest.h"
#include "peregrine/error.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {
namespace {

int merge_into(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
               std::array<FastDivisor, PackParams::kMaxRank>& extents,
               std::array<std::int64_t, PackParams::kMaxRank>& merged_strides) {
  const Shape of_one(strides.begin(), strides.end());
  const LoopNest nest = merge_dimensions(shape, std::span(&of_one, 1), true);
  if (nest.rank() > PackParams::kMaxRank) {
    throw Error(ErrorCode::kModelUnsupported,
                "packing " + to_string(shape) + " walks over more than three separate axes");
  }
  for (std::size_t i = 0; i < nest.extents.size(); ++i) {
    extents[i] = FastDivisor(static_cast<int>(nest.extents[i]));
    merged_strides[i] = nest.strides[0][i];
  }
  return nest.rank();
}

}  // namespace

PackParams make_pack(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                     int row_axes, std::int64_t padded) {
  PackParams params;
  const auto split = static_cast<std::size_t>(row_axes);
  const std::int64_t rows = element_count(shape.first(split));
  if (rows * padded >= std::int64_t{1} << 31) {
    throw Error(
        ErrorCode::kModelUnsupported,
        "packing " + to_string(shape) + " makes 2^31 elements or more; use a smaller batch");
  }
  params.rows = static_cast<int>(rows);
  params.width = static_cast<int>(element_count(shape.subspan(split)));
  params.padded = static_cast<int>(padded);
  params.row_rank =
      merge_into(shape.first(split), strides.first(split), params.row_extent, params.row_stride);
  params.element_rank = merge_into(shape.subspan(split), strides.subspan(split),
                                   params.element_extent, params.element_stride);
  const bool contiguous = params.element_rank > 0 && params.element_stride[0] == 1;
  params.rows_first = !contiguous;
  return params;
}

}  // namespace peregrine::cuda
