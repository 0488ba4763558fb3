// SPDX-License-Identifier: Apache-2.0
// Ops that move elements without looking at them, and are more than strides.
#include <algorithm>
#include <numeric>

#include "engine/cuda/ops/indexing.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/remap.h"
#include "engine/cuda/ops/requirements.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;

namespace {

// Output position i reads input position i + shift.
AxisTable shifted_axis(std::size_t axis, std::int64_t output, std::int64_t input,
                       std::int64_t shift, const std::string& mode) {
  AxisTable table{axis, {}};
  for (std::int64_t i = 0; i < output; ++i) {
    table.positions.push_back(
        static_cast<std::int32_t>(model::padded_source(mode, i + shift, input)));
  }
  return table;
}

// The axes of an operand in another order, some of them cut in two.
struct Cut {
  Shape shape, strides;
  void add(std::int64_t extent, std::int64_t stride) {
    shape.push_back(extent);
    strides.push_back(stride);
  }
};

Operand with(Operand operand, const Cut& cut) {
  operand.shape = cut.shape;
  operand.strides = cut.strides;
  operand.value.clear();
  return operand;
}

// [batch, block row, block column, channel, row, column] of the tensor whose channels hold blocks.
Cut cut_depth(const Operand& deep, std::int64_t block, bool depth_first) {
  const Shape& s = deep.strides;
  const std::int64_t channels = deep.shape[1] / (block * block);
  const std::int64_t cell = depth_first ? channels * s[1] : s[1];
  Cut cut;
  cut.add(deep.shape[0], s[0]);
  cut.add(block, block * cell);
  cut.add(block, cell);
  cut.add(channels, depth_first ? s[1] : block * block * s[1]);
  cut.add(deep.shape[2], s[2]);
  cut.add(deep.shape[3], s[3]);
  return cut;
}

// The same of the tensor whose pixels hold them.
Cut cut_space(const Operand& flat, std::int64_t block) {
  const Shape& s = flat.strides;
  Cut cut;
  cut.add(flat.shape[0], s[0]);
  cut.add(block, s[2]);
  cut.add(block, s[3]);
  cut.add(flat.shape[1], s[1]);
  cut.add(flat.shape[2] / block, block * s[2]);
  cut.add(flat.shape[3] / block, block * s[3]);
  return cut;
}

}  // namespace

void lower_pad(Lowering& to, const Node& node) {
  const model::Value* x = node.input(0);
  const model::Value* y = node.output();
  const Ints pads = to.ints(node, 1);
  Ints axes(x->shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (node.has_input(3)) axes = to.ints(node, 3);
  const std::string mode = node.attributes.get_string("mode", "constant");
  std::vector<AxisTable> tables;
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(model::wrap_axis(axes[k], x->rank()));
    if (pads[k] == 0 && y->shape[axis] == x->shape[axis]) continue;
    tables.push_back(shifted_axis(axis, y->shape[axis], x->shape[axis], -pads[k], mode));
  }
  std::uint64_t fill = 0;
  if (const model::Value* value = node.input(2)) {
    if (!value->is_constant()) {
      Lowering::refuse(node, "its fill value must be known when the plan is built");
    }
    if (element_count(value->shape) > 0) fill = element_bits(*value->constant(), to.dtype(y));
  }
  emit_remap(to, node, x, y, std::move(tables), fill);
}

void lower_center_crop_pad(Lowering& to, const Node& node) {
  const model::Value* x = node.input(0);
  const model::Value* y = node.output();
  std::vector<AxisTable> tables;
  for (std::size_t axis = 0; axis < x->shape.size(); ++axis) {
    const std::int64_t input = x->shape[axis], output = y->shape[axis];
    if (input == output) continue;
    // Odd differences: cropping and padding both put the larger half at the end.
    const std::int64_t shift = output > input ? -((output - input) / 2) : (input - output) / 2;
    tables.push_back(shifted_axis(axis, output, input, shift, "constant"));
  }
  emit_remap(to, node, x, y, std::move(tables), 0);
}

void lower_tile(Lowering& to, const Node& node) {
  const Operand from = to.read(node.input(0));
  const Operand result = to.write(node.output());
  if (is_empty(result)) return;
  Cut source, target;
  for (std::size_t axis = 0; axis < from.shape.size(); ++axis) {
    const std::int64_t extent = from.shape[axis];
    source.add(result.shape[axis] / extent, 0);
    target.add(result.shape[axis] / extent, extent * result.strides[axis]);
    source.add(extent, from.strides[axis]);
    target.add(extent, result.strides[axis]);
  }
  emit_copy(to, node, with(from, source), with(result, target));
}

void lower_depth_to_space(Lowering& to, const Node& node) {
  const std::int64_t block = node.attributes.get_int("blocksize", 1);
  const bool depth_first = node.attributes.get_string("mode", "DCR") == "DCR";
  const Operand from = to.read(node.input(0));
  const Operand result = to.write(node.output());
  emit_copy(to, node, with(from, cut_depth(from, block, depth_first)),
            with(result, cut_space(result, block)));
}

void lower_space_to_depth(Lowering& to, const Node& node) {
  const std::int64_t block = node.attributes.get_int("blocksize", 1);
  const Operand from = to.read(node.input(0));
  const Operand result = to.write(node.output());
  emit_copy(to, node, with(from, cut_space(from, block)),
            with(result, cut_depth(result, block, true)));
}

void lower_trilu(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  if (result.rank() < 2) Lowering::refuse(node, "it wants matrices");
  require_walkable(node, result);
  if (is_empty(result)) return;
  const Ints diagonal = node.has_input(1) ? to.ints(node, 1) : Ints{0};
  Step step = to.step("trilu", node);
  step.inputs = {read_as(to, node, node.input(0), result.dtype)};
  step.outputs = {result};
  step.attributes.set("upper", node.attributes.get_int("upper", 1));
  step.attributes.set("diagonal", diagonal.at(0));
  to.emit(std::move(step));
}

void lower_reverse_sequence(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Operand lengths = to.read(node.input(1));
  const std::int64_t time = node.attributes.get_int("time_axis", 0);
  const std::int64_t batch = node.attributes.get_int("batch_axis", 1);
  if (result.rank() < 2 || time + batch != 1 || (time != 0 && time != 1) ||
      lengths.shape != Shape{result.shape[static_cast<std::size_t>(batch)]}) {
    Lowering::refuse(node,
                     "it wants time and batch as its first two axes, and a length a sequence");
  }
  require_index(node, lengths);
  require_walkable(node, result);
  if (is_empty(result)) return;
  Step step = to.step("reverse", node);
  step.inputs = {read_as(to, node, node.input(0), result.dtype), lengths};
  step.outputs = {result};
  step.attributes.set("time_axis", time);
  to.emit(std::move(step));
}

void lower_one_hot(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Operand indices = to.read(node.input(0));
  if (indices.dtype != DType::kFloat32 && indices.dtype != DType::kFloat16) {
    require_index(node, indices);
  }
  require_walkable(node, result);
  if (is_empty(result)) return;
  Step step = to.step("one_hot", node);
  step.inputs = {indices, read_as(to, node, node.input(2), result.dtype)};
  step.outputs = {result};
  step.attributes.set("axis", model::wrap_axis(node.attributes.get_int("axis", -1), result.rank()));
  to.emit(std::move(step));
}

TriluParams trilu_params(const BoundStep& step) {
  TriluParams p;
  p.input = step.input(0).data;
  p.output = step.output().data;
  p.upper = step.step.attributes.get_int("upper", 1) != 0;
  p.diagonal = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(step.step.attributes.get_int("diagonal", 0), INT32_MIN, INT32_MAX));
  p.unit_bytes = static_cast<int>(size_of(step.output().dtype));
  const Shape& shape = step.output().shape;
  Shape distance(shape.size(), 0);
  distance[shape.size() - 1] = 1;
  distance[shape.size() - 2] = -1;
  p.walk = make_walk(shape, {step.output().strides, step.input(0).strides, distance});
  return p;
}

ReverseParams reverse_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const auto time = static_cast<std::size_t>(step.step.attributes.get_int("time_axis", 0));
  ReverseParams p;
  p.input = from.data;
  p.lengths = step.input(1).data;
  p.wide = step.input(1).dtype == DType::kInt64;
  p.output = step.output().data;
  p.unit_bytes = static_cast<int>(size_of(from.dtype));
  p.steps = checked_int32(from.shape[time]);
  p.step_stride = checked_int32(from.strides[time]);
  Shape input = from.strides, lengths(from.shape.size(), 0), steps(from.shape.size(), 0);
  input[time] = 0;
  steps[time] = 1;
  lengths[1 - time] = step.input(1).strides[0];
  p.walk = make_walk(from.shape, {step.output().strides, input, lengths, steps});
  return widened(p);
}

OneHotParams one_hot_params(const BoundStep& step) {
  const TensorView& indices = step.input(0);
  const auto axis = static_cast<std::size_t>(step.step.attributes.get_int("axis", 0));
  const auto at = static_cast<std::ptrdiff_t>(axis);
  OneHotParams p;
  p.indices = indices.data;
  p.index_dtype = indices.dtype;
  p.values = step.input(1).data;
  p.value_stride = checked_int32(step.input(1).strides[0]);
  p.output = step.output().data;
  p.depth = checked_int32(step.output().shape[axis]);
  p.unit_bytes = static_cast<int>(size_of(step.output().dtype));
  Shape index_strides = indices.strides, position(step.output().shape.size(), 0);
  index_strides.insert(index_strides.begin() + at, 0);
  position[axis] = 1;
  p.walk = make_walk(step.output().shape, {step.output().strides, index_strides, position});
  return p;
}

void run_trilu(const BoundStep& step) {
  launch_trilu(trilu_params(step), step.overlapped, step.stream);
}
void run_reverse(const BoundStep& step) {
  launch_reverse(reverse_params(step), step.overlapped, step.stream);
}
void run_one_hot(const BoundStep& step) {
  launch_one_hot(one_hot_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
