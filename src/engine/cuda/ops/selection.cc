// SPDX-License-Identifier: Apache-2.0
// NonZero and NonMaxSuppression: their results have the length that model/absent_rows.h gives them.
#include "engine/cuda/ops/selection.h"

#include <algorithm>
#include <bit>

#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/requirements.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Node;
using model::Value;

namespace {

// One entry a box of the indices that selected boxes before.
Operand marks_of(Lowering& to, const Value* source) {
  if (!source) return {};
  Operand marks = to.read(source);
  const std::size_t axis = source->producer()->op() == model::Op::kNonZero ? 1 : 0;
  marks.shape = {marks.shape[axis]};
  marks.strides = {marks.strides[axis]};
  marks.value.clear();
  return marks;
}

}  // namespace

void lower_non_zero(Lowering& to, const Node& node) {
  const Operand from = to.read(node.input(0));
  const Operand result = to.write(node.output());
  if (from.rank() == 0) Lowering::refuse(node, "its input has no axes");
  require_walkable(node, from);
  require_walkable(node, result);
  if (is_empty(result)) return;
  Step step = to.step("non_zero", node);
  step.inputs = {from};
  step.outputs = {result};
  to.emit(std::move(step));
}

void lower_non_max_suppression(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Operand boxes = read_as(to, node, node.input(0), DType::kFloat32);
  const Operand scores = read_as(to, node, node.input(1), DType::kFloat32);
  for (const Operand* each : {&result, &boxes, &scores}) require_walkable(node, *each);
  if (is_empty(result)) return;
  const std::int64_t rows = scores.shape[0] * scores.shape[1], each = scores.shape[2];
  const std::int64_t limit = result.shape[0] / rows;
  Step step = to.step("suppress", node);
  step.attributes.set("center_point_box", node.attributes.get_int("center_point_box", 0));
  step.attributes.set("max_iou", node.has_input(3) ? to.floats(node, 3).at(0) : 0.0F);
  if (node.has_input(4)) step.attributes.set("threshold", to.floats(node, 4).at(0));
  step.inputs = {boxes, scores, marks_of(to, node.input(5))};
  const auto pitch = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(each)));
  const Operand counts = to.scratch(DType::kInt32, {rows});
  const Operand selected = to.scratch(DType::kInt32, {rows, limit});
  step.outputs = {counts, selected, to.scratch(DType::kUint64, {rows, pitch}),
                  to.scratch(DType::kFloat32, {rows, limit, 4})};
  for (const Operand& scratch : step.outputs) require_walkable(node, scratch);
  to.emit(std::move(step));
  Step join = to.step("suppressed_rows", node);
  join.attributes.set("classes", scores.shape[1]);
  join.inputs = {counts, selected};
  join.outputs = {result};
  to.emit(std::move(join));
}

NonZeroParams non_zero_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& to = step.output();
  NonZeroParams p;
  p.input = from.data;
  p.dtype = from.dtype;
  p.output = static_cast<std::int64_t*>(to.data);
  p.axis_stride = checked_int32(to.strides[0]);
  p.entry_stride = checked_int32(to.strides[1]);
  p.rank = static_cast<std::int32_t>(from.shape.size());
  const Shape packed = packed_strides(from.shape);
  for (std::size_t i = 0; i < from.shape.size(); ++i) {
    p.inner[i] = FastDivisor(checked_int32(packed[i]));
    p.extent[i] = FastDivisor(checked_int32(from.shape[i]));
  }
  p.walk = make_walk(from.shape, {packed, from.strides});
  return p;
}

SuppressParams suppress_params(const BoundStep& step) {
  const TensorView &boxes = step.input(0), &scores = step.input(1), &marks = step.input(2);
  const model::Attributes& a = step.step.attributes;
  SuppressParams p;
  p.boxes = static_cast<const float*>(boxes.data);
  p.scores = static_cast<const float*>(scores.data);
  for (std::size_t i = 0; i < 3; ++i) {
    p.box_strides[i] = checked_int32(boxes.strides[i]);
    p.score_strides[i] = checked_int32(scores.strides[i]);
  }
  if (marks.data) {
    p.marks = marks.data;
    p.wide_marks = marks.dtype == DType::kInt64;
    p.mark_stride = checked_int32(marks.strides[0]);
  }
  p.centred = a.get_int("center_point_box", 0) != 0;
  p.max_iou = a.get_float("max_iou", 0);
  p.has_threshold = a.has("threshold");
  p.threshold = a.get_float("threshold", 0);
  p.counts = static_cast<std::int32_t*>(step.output(0).data);
  p.selected = static_cast<std::int32_t*>(step.output(1).data);
  p.numbers = static_cast<std::uint64_t*>(step.output(2).data);
  p.kept = static_cast<float*>(step.output(3).data);
  p.rows = checked_int32(scores.shape[0] * scores.shape[1]);
  p.classes = checked_int32(scores.shape[1]);
  p.boxes_each = checked_int32(scores.shape[2]);
  p.limit = checked_int32(step.output(1).shape[1]);
  p.pitch = checked_int32(step.output(2).shape[1]);
  return p;
}

SuppressedRowsParams suppressed_rows_params(const BoundStep& step) {
  const TensorView& to = step.output();
  SuppressedRowsParams p;
  p.counts = static_cast<const std::int32_t*>(step.input(0).data);
  p.selected = static_cast<const std::int32_t*>(step.input(1).data);
  p.output = static_cast<std::int64_t*>(to.data);
  p.row_stride = checked_int32(to.strides[0]);
  p.column_stride = checked_int32(to.strides[1]);
  p.rows = checked_int32(step.input(1).shape[0]);
  p.limit = checked_int32(step.input(1).shape[1]);
  p.classes = checked_int32(step.step.attributes.get_int("classes", 1));
  return p;
}

void run_non_zero(const BoundStep& step) {
  launch_non_zero(non_zero_params(step), step.overlapped, step.stream);
}
void run_suppress(const BoundStep& step) {
  launch_suppress(suppress_params(step), step.overlapped, step.stream);
}
void run_suppressed_rows(const BoundStep& step) {
  launch_suppressed_rows(suppressed_rows_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
