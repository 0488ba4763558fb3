// SPDX-License-Identifier: Apache-2.0
// ScatterElements and ScatterND: a copy of the data, then the updates into it.
#include <unordered_map>

#include <fmt/format.h>

#include "engine/cuda/ops/indexing.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/requirements.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;

namespace {

// Each thread searches the indices of its group: beyond this the search is what takes the time.
constexpr std::int64_t kMostSearched = 1 << 16;
// Names no element of any axis: the kernel leaves it out.
constexpr std::int64_t kNowhere = INT64_MIN;

Reduction reduction_of(const Node& node) {
  const std::string name = node.attributes.get_string("reduction", "none");
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  Lowering::refuse(
      node, fmt::format("its reduction is '{}' (supported: none, add, mul, max, min)", name));
}

void check_dtype(const Node& node, DType dtype, Reduction reduction) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kFloat16:
    case DType::kInt32:
    case DType::kInt64:
    case DType::kUint8: return;
    case DType::kBool:
    case DType::kInt8:
      if (reduction == Reduction::kNone) return;
      break;
    default: break;
  }
  Lowering::refuse(node, fmt::format("it scatters {}", to_string(dtype)));
}

// What a constant index tensor says: where each tuple goes, in elements of packed data, after
// entries are wrapped. `starts` is where a tuple's line of data begins.
struct KnownTargets {
  Ints targets;
  bool distinct = true;
};

KnownTargets known_targets(const Node& node, const Ints& indices, std::int64_t depth,
                           std::span<const std::int64_t> extents, const Shape& strides,
                           const Ints& starts) {
  KnownTargets known;
  std::unordered_map<std::int64_t, std::size_t> seen;
  for (std::size_t t = 0; t < starts.size(); ++t) {
    std::int64_t target = starts[t];
    for (std::size_t k = 0; k < static_cast<std::size_t>(depth); ++k) {
      std::int64_t index = indices[t * static_cast<std::size_t>(depth) + k];
      if (index < -extents[k] || index >= extents[k]) {
        Lowering::refuse(node,
                         fmt::format("its index {} is outside an axis of {}", index, extents[k]));
      }
      if (index < 0) index += extents[k];
      target += index * strides[k];
    }
    known.targets.push_back(target);
    known.distinct = seen.emplace(target, t).second && known.distinct;
  }
  return known;
}

// With no reduction the last of several updates wins: the others go nowhere.
Ints only_last_writers(Ints indices, std::int64_t depth, const KnownTargets& known) {
  std::unordered_map<std::int64_t, std::size_t> last;
  for (std::size_t t = 0; t < known.targets.size(); ++t) last[known.targets[t]] = t;
  for (std::size_t t = 0; t < known.targets.size(); ++t) {
    if (last[known.targets[t]] != t) indices[t * static_cast<std::size_t>(depth)] = kNowhere;
  }
  return indices;
}

void emit_scatter(Lowering& to, const Node& node, const char* kernel, const Operand& result,
                  Operand indices, Operand updates, std::int64_t group) {
  require_index(node, indices);
  require_walkable(node, result);
  require_walkable(node, indices);
  require_walkable(node, updates);
  check_dtype(node, result.dtype, reduction_of(node));
  if (group > kMostSearched) {
    Lowering::refuse(node, fmt::format("{} indices that are only known when it runs may name the "
                                       "same element (at most {} are supported)",
                                       group, kMostSearched));
  }
  emit_copy(to, node, read_as(to, node, node.input(0), result.dtype), result);
  if (is_empty(updates) || is_empty(result)) return;
  Step step = to.step(kernel, node);
  step.inputs = {std::move(indices), std::move(updates)};
  step.outputs = {result};
  step.attributes.set("axis", node.attributes.get_int("axis", 0));
  step.attributes.set("reduction", static_cast<std::int64_t>(reduction_of(node)));
  step.attributes.set("group", group);
  to.emit(std::move(step));
}

ScatterParams params_of(const BoundStep& step) {
  ScatterParams p;
  p.indices.data = step.input(0).data;
  p.indices.wide = step.input(0).dtype == DType::kInt64;
  p.updates = step.input(1).data;
  p.output = step.output().data;
  p.dtype = step.output().dtype;
  p.reduction = static_cast<Reduction>(step.step.attributes.get_int("reduction", 0));
  p.group = static_cast<std::int32_t>(step.step.attributes.get_int("group", 0));
  return p;
}

}  // namespace

void lower_scatter_elements(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Shape& shape = node.input(1)->shape;
  if (shape != node.input(2)->shape || shape.size() != result.shape.size()) {
    Lowering::refuse(node, "its indices and updates have different shapes");
  }
  const auto axis =
      static_cast<std::size_t>(model::wrap_axis(node.attributes.get_int("axis", 0), result.rank()));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i != axis && shape[i] > result.shape[i]) {
      Lowering::refuse(node, "it has more indices than its data has rows");
    }
  }
  Operand indices = to.read(node.input(1));
  std::int64_t group = shape.empty() ? 0 : shape[axis];
  if (node.input(1)->is_constant() && !shape.empty()) {
    const Shape data = packed_strides(result.shape), own = packed_strides(shape);
    const Ints values = to.ints(node, 1);
    Ints starts;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(values.size()); ++i) {
      std::int64_t start = 0;
      for (std::size_t d = 0; d < shape.size(); ++d) {
        if (d != axis) start += i / own[d] % shape[d] * data[d];
      }
      starts.push_back(start);
    }
    const KnownTargets known =
        known_targets(node, values, 1, std::span(&result.shape[axis], 1), {data[axis]}, starts);
    if (known.distinct || reduction_of(node) == Reduction::kNone) {
      indices = to.weight(Tensor::of<std::int64_t>(only_last_writers(values, 1, known), shape));
      group = 0;
    }
  }
  emit_scatter(to, node, "scatter_elements", result, indices,
               read_as(to, node, node.input(2), result.dtype), group);
}

void lower_scatter_nd(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  const Shape& shape = node.input(1)->shape;
  const std::int64_t depth = shape.empty() ? 0 : shape.back();
  if (depth < 1 || depth > result.rank() || depth > IndexTuple::kMaxDepth) {
    Lowering::refuse(node, "its index tuples do not fit its data");
  }
  // [tuples, what is behind the indexed axes...]: tuples packed, so that they count as one axis.
  const std::int64_t tuples = element_count(std::span(shape).first(shape.size() - 1));
  Shape update_shape(result.shape.begin() + depth, result.shape.end());
  update_shape.insert(update_shape.begin(), tuples);
  if (element_count(update_shape) != element_count(node.input(2)->shape)) {
    Lowering::refuse(node, "its updates do not fit its indices");
  }
  Operand updates = read_packed_as(to, node, node.input(2), result.dtype);
  updates.shape = update_shape;
  updates.strides = packed_strides(update_shape);
  Operand indices;
  std::int64_t group = tuples;
  if (node.input(1)->is_constant()) {
    Ints values = to.ints(node, 1);
    const KnownTargets known =
        known_targets(node, values, depth, result.shape, packed_strides(result.shape),
                      Ints(static_cast<std::size_t>(tuples), 0));
    if (known.distinct || reduction_of(node) == Reduction::kNone) {
      values = only_last_writers(std::move(values), depth, known);
      group = 0;
    }
    indices = to.weight(Tensor::of<std::int64_t>(values, shape));
  } else {
    indices = to.read_packed(node.input(1));
  }
  indices.shape = {tuples, depth};
  indices.strides = {depth, 1};
  emit_scatter(to, node, "scatter_nd", result, indices, updates, group);
}

ScatterParams scatter_elements_params(const BoundStep& step) {
  const TensorView& indices = step.input(0);
  const TensorView& updates = step.input(1);
  const TensorView& data = step.output();
  ScatterParams p = params_of(step);
  Shape data_strides = data.strides, order(data.shape.size(), 0);
  if (!data.shape.empty()) {
    const auto axis = static_cast<std::size_t>(
        model::wrap_axis(step.step.attributes.get_int("axis", 0), data.rank()));
    p.indices.extent[0] = checked_int32(data.shape[axis]);
    p.indices.stride[0] = checked_int32(data.strides[axis]);
    data_strides[axis] = 0;
    order[axis] = 1;
    p.group_index_stride = checked_int32(indices.strides[axis]);
    p.group_update_stride = checked_int32(updates.strides[axis]);
  }
  p.walk = make_walk(updates.shape, {updates.strides, data_strides, indices.strides, order});
  return p;
}

ScatterParams scatter_nd_params(const BoundStep& step) {
  const TensorView& indices = step.input(0);
  const TensorView& updates = step.input(1);
  const TensorView& data = step.output();
  ScatterParams p = params_of(step);
  const auto depth = static_cast<std::size_t>(indices.shape.back());
  p.indices.depth = static_cast<std::int32_t>(depth);
  p.indices.entry_stride = 1;
  for (std::size_t k = 0; k < depth; ++k) {
    p.indices.extent[k] = checked_int32(data.shape[k]);
    p.indices.stride[k] = checked_int32(data.strides[k]);
  }
  Shape data_strides(data.strides.begin() + static_cast<std::ptrdiff_t>(depth), data.strides.end());
  data_strides.insert(data_strides.begin(), 0);
  Shape index_strides(data_strides.size(), 0), order(data_strides.size(), 0);
  index_strides[0] = checked_int32(indices.strides[0]);
  order[0] = 1;
  p.group_index_stride = checked_int32(indices.strides[0]);
  p.group_update_stride = checked_int32(updates.strides[0]);
  p.walk = make_walk(updates.shape, {updates.strides, data_strides, index_strides, order});
  return p;
}

void run_scatter_elements(const BoundStep& step) {
  launch_scatter(scatter_elements_params(step), step.overlapped, step.stream);
}
void run_scatter_nd(const BoundStep& step) {
  launch_scatter(scatter_nd_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
