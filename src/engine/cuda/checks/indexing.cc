// SPDX-License-Identifier: Apache-2.0
// Kernels that read or write at computed places.
#include <algorithm>

#include "compiler/strided.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/kernels/gather.h"
#include "engine/cuda/kernels/grid_sample.h"
#include "engine/cuda/kernels/rearrange.h"
#include "engine/cuda/kernels/resize.h"
#include "engine/cuda/kernels/scatter.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/sort.h"

namespace peregrine::cuda {

using compiler::Operand;

namespace {

constexpr int kAnyRank = 16;

// `data` of the output's type, with something to read, and integers for indices.
void check_indexed(const CheckedStep& step, const Operand& data, const Operand& indices) {
  step.require_dtype(data, step.output().dtype);
  step.require_index(indices);
  step.require(!is_empty(data), "it reads from an empty tensor");
}

Shape part(const Shape& shape, std::size_t from, std::size_t to) {
  return Shape(shape.begin() + static_cast<std::ptrdiff_t>(from),
               shape.begin() + static_cast<std::ptrdiff_t>(to));
}

Shape joined(Shape a, const Shape& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void require_shape(const CheckedStep& step, const Operand& operand, const Shape& shape) {
  if (operand.shape == shape) return;
  step.fail("an operand of " + to_string(operand.shape) + " should be " + to_string(shape));
}

// Each axis of `inner` but `axis` lies within that of `outer`.
void require_within(const CheckedStep& step, const Operand& inner, const Operand& outer,
                    std::size_t axis) {
  step.require_rank(inner, outer.rank(), outer.rank());
  for (std::size_t i = 0; i < inner.shape.size(); ++i) {
    step.require(i == axis || inner.shape[i] <= outer.shape[i],
                 "it has more indices than its data has rows");
  }
}

// Axes that no table stands for are as long in both.
void require_same_but(const CheckedStep& step, const std::vector<std::size_t>& axes,
                      const Operand& from, const Operand& to) {
  step.require_rank(to, from.rank(), from.rank());
  Shape expected = from.shape;
  for (const std::size_t axis : axes) expected[axis] = to.shape[axis];
  require_shape(step, to, expected);
}

}  // namespace

void check_gather(const CheckedStep& step) {
  const Operand &data = step.input(0), &indices = step.input(1);
  check_indexed(step, data, indices);
  const std::size_t axis = step.axis_from_either_end(data.rank());
  require_shape(step, step.output(),
                joined(joined(part(data.shape, 0, axis), indices.shape),
                       part(data.shape, axis + 1, data.shape.size())));
}

void check_gather_elements(const CheckedStep& step) {
  const Operand &data = step.input(0), &indices = step.input(1);
  check_indexed(step, data, indices);
  require_within(step, indices, data, step.axis_from_either_end(data.rank()));
  step.require_same_shape(indices, step.output());
}

void check_gather_nd(const CheckedStep& step) {
  const Operand &data = step.input(0), &indices = step.input(1);
  check_indexed(step, data, indices);
  step.require_rank(indices, 1, kAnyRank);
  const auto batch = static_cast<std::size_t>(
      step.number("batch_dims", 0, 0, std::min(indices.rank() - 1, data.rank())));
  const std::int64_t depth = indices.shape.back();
  step.require(
      depth <= IndexTuple::kMaxDepth && static_cast<std::int64_t>(batch) + depth <= data.rank() &&
          std::equal(data.shape.begin(), data.shape.begin() + static_cast<std::ptrdiff_t>(batch),
                     indices.shape.begin()),
      "its index tuples do not fit its data");
  require_shape(
      step, step.output(),
      joined(part(indices.shape, 0, indices.shape.size() - 1),
             part(data.shape, batch + static_cast<std::size_t>(depth), data.shape.size())));
}

void check_scatter_elements(const CheckedStep& step) {
  const Operand &indices = step.input(0), &updates = step.input(1), &data = step.output();
  check_indexed(step, updates, indices);
  step.number("reduction", 0, 0, static_cast<int>(Reduction::kMin));
  step.require_same_shape(indices, updates);
  const std::size_t axis = data.rank() == 0 ? 0 : step.axis_from_either_end(data.rank());
  require_within(step, indices, data, axis);
  step.number("group", 0, 0, data.rank() == 0 ? 0 : indices.shape[axis]);
}

void check_scatter_nd(const CheckedStep& step) {
  const Operand &indices = step.input(0), &updates = step.input(1), &data = step.output();
  check_indexed(step, updates, indices);
  step.number("reduction", 0, 0, static_cast<int>(Reduction::kMin));
  step.require_rank(indices, 2, 2);
  const std::int64_t depth = indices.shape[1];
  step.require(depth >= 1 && depth <= std::min(data.rank(), IndexTuple::kMaxDepth) &&
                   (depth == 1 || indices.strides[1] == 1),
               "its index tuples do not fit its data");
  require_shape(step, updates,
                joined({indices.shape[0]},
                       part(data.shape, static_cast<std::size_t>(depth), data.shape.size())));
  step.number("group", 0, 0, indices.shape[0]);
}

void check_remap(const CheckedStep& step) {
  const Operand &from = step.input(0), &to = step.output();
  step.require_dtype(from, to.dtype);
  const auto axes = step.axes(from.rank(), RemapParams::kMaxTables);
  require_same_but(step, axes, from, to);
  const model::Ints starts = step.numbers("starts", axes.size(), 0);
  for (std::size_t k = 0; k < axes.size(); ++k) {
    step.require_positions(step.input(1), starts[k], to.shape[axes[k]], 1, from.shape[axes[k]]);
  }
}

void check_resize(const CheckedStep& step) {
  const Operand &from = step.input(0), &to = step.output();
  step.require_float(from);
  step.require_dtype(from, to.dtype);
  const auto axes = step.axes(from.rank(), ResizeParams::kMaxAxes);
  require_same_but(step, axes, from, to);
  const model::Ints starts = step.numbers("starts", axes.size(), 0);
  const model::Ints taps = step.numbers("taps", axes.size(), 1);
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const std::int64_t count = to.shape[axes[k]];
    step.require_positions(step.input(1), starts[k], count, taps[k], from.shape[axes[k]]);
    step.require_constants(step.input(2), DType::kFloat32, starts[k] + count * taps[k]);
  }
}

void check_trilu(const CheckedStep& step) {
  step.require_rank(step.output(), 2, kAnyRank);
  step.require_same_shape(step.input(0), step.output());
  step.require_dtype(step.input(0), step.output().dtype);
}

void check_reverse(const CheckedStep& step) {
  const Operand &from = step.input(0), &lengths = step.input(1);
  step.require_rank(from, 2, kAnyRank);
  step.require_same_shape(from, step.output());
  step.require_dtype(from, step.output().dtype);
  step.require_index(lengths);
  const auto time = static_cast<std::size_t>(step.number("time_axis", 0, 0, 1));
  require_shape(step, lengths, {from.shape[1 - time]});
}

void check_one_hot(const CheckedStep& step) {
  const Operand &indices = step.input(0), &values = step.input(1), &to = step.output();
  if (indices.dtype != DType::kFloat32 && indices.dtype != DType::kFloat16) {
    step.require_index(indices);
  }
  step.require_dtype(values, to.dtype);
  require_shape(step, values, {2});
  step.require_rank(to, 1, kAnyRank);
  Shape rest = to.shape;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(step.axis(to.rank())));
  require_shape(step, indices, rest);
}

void check_quantize(const CheckedStep& step) {
  const Operand& to = step.output();
  step.require_same_shape(step.input(0), to);
  const std::int64_t axis = step.number("axis", -1, -1, to.rank() - 1);
  const std::int64_t entries = axis < 0 ? 1 : to.shape[static_cast<std::size_t>(axis)];
  for (const std::size_t i : {1U, 2U}) {
    step.require_constants(step.input(i), DType::kFloat32, entries);
  }
}

namespace {

// Values and indices as long as `k` along the axis; the row's length.
std::int64_t check_sorted(const CheckedStep& step, std::int64_t most) {
  const Operand& from = step.input(0);
  const std::size_t axis = step.axis(from.rank());
  const std::int64_t length = from.shape[axis];
  step.require(length <= most, "its rows are too long");
  Shape sorted = from.shape;
  sorted[axis] = step.number("k", 0, 1, length);
  for (const std::size_t i : {0U, 1U}) {
    if (!step.optional_output(i).is_absent()) require_shape(step, step.output(i), sorted);
  }
  step.require(step.step().outputs.size() >= 2, "it lacks an output");
  if (!step.optional_output(1).is_absent()) step.require_dtype(step.output(1), DType::kInt64);
  return length;
}

}  // namespace

void check_top_k(const CheckedStep& step) {
  TopKParams plan;
  plan.length = static_cast<std::int32_t>(check_sorted(step, 1 << 30));
  const Operand& from = step.input(0);
  if (from.dtype != DType::kInt32) step.require_float(from);
  plan.k = static_cast<std::int32_t>(step.number("k", 0, 1));
  plan_top_k(plan);
  if (plan.sorted <= kTopKSharedNumbers && step.optional_output(2).is_absent()) return;
  step.require_constants(step.output(2), DType::kUint64,
                         element_count(from.shape) / plan.length * plan.sorted);
}

void check_counted_top_k(const CheckedStep& step) {
  check_sorted(step, kTopKLongestCounted);
  step.require_dtype(step.input(0), DType::kInt64);
  if (!step.optional_output(0).is_absent()) step.require_dtype(step.output(0), DType::kInt64);
}

void check_grid_sample(const CheckedStep& step) {
  const Operand &from = step.input(0), &grid = step.input(1), &to = step.output();
  step.require_float(from);
  step.require_float(grid);
  step.require_dtype(to, from.dtype);
  step.require_rank(from, 3, 2 + GridSampleParams::kMaxAxes);
  step.require_rank(to, from.rank(), from.rank());
  step.require(!is_empty(from), "it samples an empty picture");
  Shape points = to.shape;
  points.erase(points.begin() + 1);
  require_shape(step, grid, joined(points, {from.rank() - 2}));
  step.require(to.shape[0] == from.shape[0] && to.shape[1] == from.shape[1],
               "its result is of other pictures");
  step.number("mode", 0, 0, static_cast<int>(SampleMode::kCubic));
  step.number("padding", 0, 0, static_cast<int>(SamplePadding::kReflection));
}

void check_roi_align(const CheckedStep& step) {
  const Operand &from = step.input(0), &boxes = step.input(1), &pictures = step.input(2);
  const Operand& to = step.output();
  step.require_float(from);
  step.require_float(boxes);
  step.require_dtype(to, from.dtype);
  step.require_index(pictures);
  step.require_rank(from, 4, 4);
  step.require_rank(to, 4, 4);
  step.require(!is_empty(from), "it samples an empty picture");
  require_shape(step, boxes, {to.shape[0], 4});
  require_shape(step, pictures, {to.shape[0]});
  step.require(to.shape[1] == from.shape[1], "its result has other channels");
  step.number("samples", 0, 0);
}

}  // namespace peregrine::cuda
