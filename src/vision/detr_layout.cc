// SPDX-License-Identifier: Apache-2.0
#include "vision/detr_layout.h"

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::vision {
namespace {

DetrLayout rows_layout(const TaskSpec& spec, const Shape& rows) {
  if (rows[2] != 4 + spec.class_count) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("the model's output {} is not [batch, queries, 4 + {} classes]; "
                            "supply the right class names with --labels",
                            to_string(rows), spec.class_count));
  }
  DetrLayout layout;
  layout.queries = static_cast<int>(rows[1]);
  layout.columns = spec.class_count;
  layout.score_stride = layout.box_stride = rows[2];
  layout.score_offset = 4;
  layout.scores_a_picture = layout.boxes_a_picture = rows[1] * rows[2];
  return layout;
}

DetrLayout pair_layout(const TaskSpec& spec, const Shape& scores, const Shape& boxes) {
  const int columns = spec.class_count + (spec.head == Head::kDetr ? 1 : 0);
  if (scores[2] != columns || boxes[2] != 4 || scores[1] != boxes[1]) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("the model's logits {} and boxes {} are not [batch, queries, {}] and "
                            "[batch, queries, 4]; supply the right class names with --labels",
                            to_string(scores), to_string(boxes), columns));
  }
  DetrLayout layout;
  layout.queries = static_cast<int>(scores[1]);
  layout.columns = columns;
  layout.score_stride = columns;
  layout.box_stride = 4;
  layout.scores_a_picture = scores[1] * columns;
  layout.boxes_a_picture = scores[1] * 4;
  return layout;
}

}  // namespace

DetrLayout detr_layout(const TaskSpec& spec, const Shape& scores, const Shape& boxes) {
  return spec.head == Head::kRtDetr ? rows_layout(spec, boxes) : pair_layout(spec, scores, boxes);
}

}  // namespace peregrine::vision
