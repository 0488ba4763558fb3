// SPDX-License-Identifier: Apache-2.0
// How DETR and its family lay out their queries, and what their scores are: the same on every
// device.
#pragma once

#include <cmath>
#include <cstddef>

#include "core/host_device.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// Where a picture's queries lie in the outputs; strides and offsets in floats.
struct DetrLayout {
  int queries = 0;
  int columns = 0;  ///< class scores or logits of one query, "no object" among them
  std::ptrdiff_t score_stride = 0, box_stride = 0;           ///< from query to query
  std::ptrdiff_t score_offset = 0;                           ///< of a picture's first score
  std::ptrdiff_t scores_a_picture = 0, boxes_a_picture = 0;  ///< from picture to picture
};
/// Of outputs of these shapes; where one output holds both (kRtDetr), it is given twice. Throws
/// `Error(kInvalidShape)` when they do not go with the task.
DetrLayout detr_layout(const TaskSpec& spec, const Shape& scores, const Shape& boxes);

// In double and rounded once: math libraries differ in the last bit of what they return, which is
// then not the last bit of the answer.

PEREGRINE_HOST_DEVICE float sigmoid_score(float logit) {
  return static_cast<float>(1 / (1 + std::exp(-static_cast<double>(logit))));
}
/// A term of the softmax.
PEREGRINE_HOST_DEVICE double softmax_term(float logit, float highest) {
  return std::exp(static_cast<double>(logit) - highest);
}

}  // namespace peregrine::vision
