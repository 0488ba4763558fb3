// SPDX-License-Identifier: Apache-2.0
// NonZero and NonMaxSuppression.
#include <bit>

#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/kernels/selection.h"

namespace peregrine::cuda {

using compiler::Operand;

namespace {

void require_shape(const CheckedStep& step, const Operand& operand, const Shape& shape) {
  step.require(operand.shape == shape, "its lists do not fit each other");
}

}  // namespace

void check_non_zero(const CheckedStep& step) {
  const Operand &from = step.input(0), &to = step.output();
  step.require_rank(from, 1, NonZeroParams::kMaxRank);
  step.require_dtype(to, DType::kInt64);
  require_shape(step, to, {from.rank(), element_count(from.shape)});
}

void check_suppress(const CheckedStep& step) {
  const Operand &boxes = step.input(0), &scores = step.input(1), &marks = step.optional_input(2);
  const Operand &counts = step.output(0), &selected = step.output(1), &numbers = step.output(2),
                &kept = step.output(3);
  for (const Operand* each : {&boxes, &scores}) {
    step.require_dtype(*each, DType::kFloat32);
    step.require_rank(*each, 3, 3);
  }
  require_shape(step, boxes, {scores.shape[0], scores.shape[2], 4});
  if (!marks.is_absent()) {
    step.require_index(marks);
    require_shape(step, marks, {scores.shape[2]});
  }
  step.require_rank(selected, 2, 2);
  const std::int64_t rows = scores.shape[0] * scores.shape[1], limit = selected.shape[1];
  require_shape(step, selected, {rows, limit});
  require_shape(step, counts, {rows});
  require_shape(step, kept, {rows, limit, 4});
  step.require(scores.shape[2] <= 1 << 30, "it has too many boxes");
  require_shape(step, numbers,
                {rows, static_cast<std::int64_t>(
                           std::bit_ceil(static_cast<std::uint64_t>(scores.shape[2])))});
  step.require_constants(counts, DType::kInt32, rows);
  step.require_constants(selected, DType::kInt32, rows * limit);
  step.require_constants(numbers, DType::kUint64, 0);
  step.require_constants(kept, DType::kFloat32, 0);
}

void check_suppressed_rows(const CheckedStep& step) {
  const Operand &counts = step.input(0), &selected = step.input(1), &to = step.output();
  step.require_rank(selected, 2, 2);
  step.require_constants(counts, DType::kInt32, 0);
  step.require_constants(selected, DType::kInt32, 0);
  require_shape(step, counts, {selected.shape[0]});
  step.require_dtype(to, DType::kInt64);
  require_shape(step, to, {element_count(selected.shape), 3});
  step.number("classes", 1, 1);
}

}  // namespace peregrine::cuda
