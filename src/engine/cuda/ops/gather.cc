// SPDX-License-Identifier: Apache-2.0
// Gather, GatherElements, GatherND and Compress.
#include <optional>

#include "engine/cuda/ops/indexing.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/requirements.h"
#include "model/absent_rows.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;

namespace {

// start, start + step, ...: a slice says it.
struct Progression {
  std::int64_t start = 0, step = 1;
};
std::optional<Progression> progression(const Ints& positions) {
  if (positions.empty()) return std::nullopt;
  Progression even{positions[0], positions.size() > 1 ? positions[1] - positions[0] : 1};
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] != even.start + static_cast<std::int64_t>(i) * even.step) return std::nullopt;
  }
  return even;
}

void check_constant(const Node& node, const Ints& indices, std::int64_t extent) {
  for (const std::int64_t index : indices) {
    if (index < -extent || index >= extent) {
      Lowering::refuse(node, "its index " + std::to_string(index) + " is outside an axis of " +
                                 std::to_string(extent));
    }
  }
}

void emit_gather(Lowering& to, const Node& node, const char* kernel, Operand data, Operand indices,
                 Operand result) {
  require_index(node, indices);
  require_walkable(node, data);
  require_walkable(node, indices);
  require_walkable(node, result);
  if (is_empty(result)) return;
  if (is_empty(data)) Lowering::refuse(node, "it gathers from an empty tensor");
  Step step = to.step(kernel, node);
  step.inputs = {std::move(data), std::move(indices)};
  step.outputs = {std::move(result)};
  step.attributes = node.attributes;
  to.emit(std::move(step));
}

// Rows of `data` along `axis`, whose positions are known: a copy where they are evenly spaced.
void emit_known_rows(Lowering& to, const Node& node, const Operand& data, std::size_t axis,
                     Ints positions, const Shape& index_shape, Operand result) {
  const std::int64_t extent = data.shape[axis];
  check_constant(node, positions, extent);
  for (std::int64_t& at : positions) at += at < 0 ? extent : 0;
  const auto even = progression(positions);
  if (even && index_shape.size() == 1) {
    return emit_copy(
        to, node,
        sliced(data, axis, even->start, even->step, static_cast<std::int64_t>(positions.size())),
        std::move(result));
  }
  const Operand indices = to.weight(Tensor::of<std::int64_t>(positions, index_shape));
  emit_gather(to, node, "gather", data, indices, std::move(result));
}

std::size_t axis_of(const BoundStep& step, std::int64_t rank) {
  return static_cast<std::size_t>(model::wrap_axis(step.step.attributes.get_int("axis", 0), rank));
}

GatherParams params_of(const BoundStep& step) {
  GatherParams p;
  p.data = step.input(0).data;
  p.output = step.output().data;
  p.indices.data = step.input(1).data;
  p.indices.wide = step.input(1).dtype == DType::kInt64;
  p.unit_bytes = static_cast<int>(size_of(step.output().dtype));
  p.absent_rows = step.step.attributes.get_int(model::kAbsentRowsAttribute, 0) != 0;
  return p;
}

void index_axis(IndexTuple& tuple, std::size_t entry, const TensorView& data, std::size_t axis) {
  tuple.extent[entry] = checked_int32(data.shape[axis]);
  tuple.stride[entry] = checked_int32(data.strides[axis]);
}

}  // namespace

void lower_gather(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Operand data = read_as(to, node, node.input(0), result.dtype);
  const auto axis =
      static_cast<std::size_t>(model::wrap_axis(node.attributes.get_int("axis", 0), data.rank()));
  if (!node.input(1)->is_constant()) {
    return emit_gather(to, node, "gather", data, to.read(node.input(1)), result);
  }
  const Ints positions = to.ints(node, 1);
  if (node.input(1)->rank() == 0) {  // a slice of one, its axis dropped
    Operand row = result;
    row.shape.insert(row.shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
    row.strides.insert(row.strides.begin() + static_cast<std::ptrdiff_t>(axis), 1);
    return emit_known_rows(to, node, data, axis, positions, {1}, row);
  }
  emit_known_rows(to, node, data, axis, positions, node.input(1)->shape, result);
}

void lower_gather_elements(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  emit_gather(to, node, "gather_elements", read_as(to, node, node.input(0), result.dtype),
              to.read(node.input(1)), result);
}

void lower_gather_nd(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Operand indices = to.read(node.input(1));
  if (indices.shape.back() > IndexTuple::kMaxDepth) {
    Lowering::refuse(node, "its index tuples are longer than 8");
  }
  emit_gather(to, node, "gather_nd", read_as(to, node, node.input(0), result.dtype), indices,
              result);
}

void lower_compress(Lowering& to, const Node& node) {
  const Ints keep = to.ints(node, 1);
  const bool flat = !node.attributes.has("axis");
  const Operand result = to.write(node.output());
  Operand data = flat ? read_packed_as(to, node, node.input(0), result.dtype)
                      : read_as(to, node, node.input(0), result.dtype);
  if (flat) {
    data.shape = {element_count(data.shape)};
    data.strides = {1};
  }
  const auto axis = flat ? 0U
                         : static_cast<std::size_t>(
                               model::wrap_axis(node.attributes.get_int("axis", 0), data.rank()));
  Ints positions;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (keep[i] != 0) positions.push_back(static_cast<std::int64_t>(i));
  }
  const auto count = static_cast<std::int64_t>(positions.size());
  if (count == 0) return;
  emit_known_rows(to, node, data, axis, std::move(positions), {count}, result);
}

GatherParams gather_params(const BoundStep& step) {
  const TensorView& data = step.input(0);
  const TensorView& indices = step.input(1);
  GatherParams p = params_of(step);
  const std::size_t axis = axis_of(step, data.rank());
  index_axis(p.indices, 0, data, axis);
  // [data before the axis..., indices..., data behind the axis...]
  Shape data_strides(data.strides.begin(),
                     data.strides.begin() + static_cast<std::ptrdiff_t>(axis));
  Shape index_strides(axis, 0);
  data_strides.insert(data_strides.end(), indices.shape.size(), 0);
  index_strides.insert(index_strides.end(), indices.strides.begin(), indices.strides.end());
  data_strides.insert(data_strides.end(),
                      data.strides.begin() + static_cast<std::ptrdiff_t>(axis) + 1,
                      data.strides.end());
  index_strides.resize(data_strides.size(), 0);
  p.walk = make_walk(step.output().shape, {step.output().strides, data_strides, index_strides});
  return widened(p);
}

GatherParams gather_elements_params(const BoundStep& step) {
  const TensorView& data = step.input(0);
  GatherParams p = params_of(step);
  const std::size_t axis = axis_of(step, data.rank());
  index_axis(p.indices, 0, data, axis);
  Shape data_strides = data.strides;
  data_strides[axis] = 0;
  p.walk =
      make_walk(step.output().shape, {step.output().strides, data_strides, step.input(1).strides});
  return widened(p);
}

GatherParams gather_nd_params(const BoundStep& step) {
  const TensorView& data = step.input(0);
  const TensorView& indices = step.input(1);
  GatherParams p = params_of(step);
  const auto batch = static_cast<std::size_t>(step.step.attributes.get_int("batch_dims", 0));
  const auto depth = static_cast<std::size_t>(indices.shape.back());
  p.indices.depth = static_cast<std::int32_t>(depth);
  p.indices.entry_stride = checked_int32(indices.strides.back());
  for (std::size_t k = 0; k < depth; ++k) index_axis(p.indices, k, data, batch + k);
  // [batch..., tuples..., data behind the indexed axes...]
  const std::size_t tuple_rank = indices.shape.size() - 1;
  Shape data_strides(data.strides.begin(),
                     data.strides.begin() + static_cast<std::ptrdiff_t>(batch));
  data_strides.resize(tuple_rank, 0);
  Shape index_strides(indices.strides.begin(), indices.strides.end() - 1);
  data_strides.insert(data_strides.end(),
                      data.strides.begin() + static_cast<std::ptrdiff_t>(batch + depth),
                      data.strides.end());
  index_strides.resize(data_strides.size(), 0);
  p.walk = make_walk(step.output().shape, {step.output().strides, data_strides, index_strides});
  return widened(p);
}

void run_gather(const BoundStep& step) {
  launch_gather(gather_params(step), step.overlapped, step.stream);
}
void run_gather_elements(const BoundStep& step) {
  launch_gather(gather_elements_params(step), step.overlapped, step.stream);
}
void run_gather_nd(const BoundStep& step) {
  launch_gather(gather_nd_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
