// SPDX-License-Identifier: Apache-2.0
// Kernels whose operands all have one shape.
#include "engine/cuda/ops/rows.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/pointwise_chain.h"

namespace peregrine::cuda {

void check_copy(const CheckedStep& step) { step.require_same_shape(step.input(0), step.output()); }

void check_pointwise(const CheckedStep& step) {
  for (std::size_t i = 0; i < step.step().inputs.size(); ++i) step.input(i);
  step.output();
  pointwise_params(AlignedStep(step.step()).bound());
}

void check_reduce(const CheckedStep& step) {
  step.input(0), step.output();
  reduce_params(AlignedStep(step.step()).bound());
}

void check_normalize(const CheckedStep& step) {
  step.input(0), step.output();
  normalize_params(AlignedStep(step.step()).bound());
}

void check_cumulative_sum(const CheckedStep& step) {
  step.input(0), step.output();
  cumulative_sum_params(AlignedStep(step.step()).bound());
}

void check_local_response(const CheckedStep& step) {
  step.axes(step.input(0).rank(), 1);  // its window slides along one stride
  step.output();
  step.number("size", 1, 1);
  local_response_params(AlignedStep(step.step()).bound());
}

}  // namespace peregrine::cuda
