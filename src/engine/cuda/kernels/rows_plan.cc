// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstdlib>

#include <fmt/format.h>

#include "engine/cuda/kernels/loop_nest.h"
#include "engine/cuda/kernels/rows.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

struct Side {
  Shape shape;
  std::vector<Shape> strides;
};

RowDims dims_of(const LoopNest& nest, std::span<const std::int64_t> shape) {
  if (nest.rank() > kMaxRowRank) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("rows of {} have more than five separate dimensions on a side",
                            to_string(shape)));
  }
  RowDims dims;
  dims.count = static_cast<int>(nest.count());
  dims.rank = nest.rank();
  for (std::size_t d = 0; d < nest.extents.size(); ++d) {
    dims.extents[d] = FastDivisor(static_cast<int>(nest.extents[d]));
  }
  return dims;
}

int power_of_two(int at_least, int lowest, int highest) {
  return std::clamp(static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(at_least, 1)))),
                    lowest, highest);
}

// About four elements a thread while a warp will do (its lanes talk without barriers), eight in
// larger groups.
void share_out(Rows& rows) {
  const int elements = rows.elements.count;
  if (rows.side_by_side) {
    rows.rows_per_block = power_of_two(rows.rows.count, 1, 32);
    rows.parts = power_of_two(elements / 4, 1, 32);
    return;
  }
  rows.parts =
      elements <= 1024 ? power_of_two(elements / 4, 1, 32) : power_of_two(elements / 8, 32, 1024);
  rows.rows_per_block = std::max(128 / rows.parts, 1);
}

// Whether accesses of a whole pack stay inside aligned 16-byte (32-byte) groups.
bool has_packs(const RowTensor& tensor, const Rows& rows) {
  if (tensor.dtype != DType::kFloat32 && tensor.dtype != DType::kFloat16) return false;
  const int unit = 16 / static_cast<int>(size_of(tensor.dtype));
  return (rows.elements.count == 1 || tensor.element_strides[0] == 1) &&
         reinterpret_cast<std::uintptr_t>(tensor.data) % 16 == 0 &&
         std::all_of(tensor.row_strides.begin(), tensor.row_strides.begin() + rows.rows.rank,
                     [&](int stride) { return stride % unit == 0; });
}

}  // namespace

Rows make_rows(std::span<const std::int64_t> shape, const std::vector<bool>& reduced,
               std::span<const Shape> strides, std::span<RowTensor> tensors) {
  if (!merge_dimensions(shape, strides).fits_int()) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("rows of {} reach over 2^31 elements or more; use a smaller batch",
                            to_string(shape)));
  }
  Side sides[2];  // rows, elements
  for (Side& side : sides) side.strides.resize(strides.size());
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    Side& side = sides[reduced[axis] ? 1 : 0];
    side.shape.push_back(shape[axis]);
    for (std::size_t t = 0; t < strides.size(); ++t) {
      side.strides[t].push_back(strides[t][axis]);
    }
  }
  const LoopNest outer = merge_dimensions(sides[0].shape, sides[0].strides);
  const LoopNest inner = merge_dimensions(sides[1].shape, sides[1].strides);
  Rows rows;
  rows.rows = dims_of(outer, shape);
  rows.elements = dims_of(inner, shape);
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    for (std::size_t d = 0; d < outer.extents.size(); ++d) {
      tensors[t].row_strides[d] = static_cast<int>(outer.strides[t][d]);
    }
    for (std::size_t d = 0; d < inner.extents.size(); ++d) {
      tensors[t].element_strides[d] = static_cast<int>(inner.strides[t][d]);
    }
  }
  rows.side_by_side = rows.rows.rank > 0 && rows.elements.rank > 0 &&
                      std::abs(outer.strides[0][0]) < std::abs(inner.strides[0][0]);
  share_out(rows);
  return rows;
}

int packs_in_registers(const NormalizeParams& params) {
  const Rows& rows = params.rows;
  const int width = rows.elements.count;
  if (rows.elements.rank != 1 || width % 8 != 0 || width > 2048) return 0;
  switch (params.kind) {
    case Normalization::kSoftmax:
    case Normalization::kLogSoftmax:
    case Normalization::kLayer:
    case Normalization::kRms: break;
    default: return 0;
  }
  for (const RowTensor* tensor : {&params.input, &params.output, &params.scale, &params.bias}) {
    if (tensor->data && !has_packs(*tensor, rows)) return 0;
  }
  const int packs = (width / 8 + 31) / 32;
  return packs <= 4 ? packs : 8;
}

}  // namespace peregrine::cuda
