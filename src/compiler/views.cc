// SPDX-License-Identifier: Apache-2.0
#include "compiler/views.h"

#include <algorithm>

#include "compiler/rewrite.h"
#include "model/geometry.h"

namespace peregrine::compiler {
namespace {

// The axis that is innermost in memory: channels of pictures (NHWC), the last one of everything
// else.
std::int64_t innermost(const Value& value) { return value.rank() == 4 ? 1 : value.rank() - 1; }

bool is_along_innermost(const Node& node) {
  const Value* x = node.input(0);
  return x && x->rank() >= 2 &&
         model::wrap_axis(node.attributes.get_int("axis", 0), x->rank()) == innermost(*x);
}

// A value whose place nothing else dictates.
bool is_free(const ViewPlan& plan, const Graph& graph, const Value* value) {
  const auto& inputs = graph.inputs();
  return value->producer() && !value->is_graph_output() && !plan.views.contains(value) &&
         std::find(inputs.begin(), inputs.end(), value) == inputs.end();
}

View shifted(const ViewPlan& plan, Value* base, std::int64_t offset) {
  const auto inner = plan.views.find(base);
  if (inner == plan.views.end()) return {base, innermost(*base), offset};
  return {inner->second.base, inner->second.axis, inner->second.offset + offset};
}

// Later views must not point at a value that itself became a view: re-base what points at it.
void add_view(ViewPlan& plan, Value* value, const View& view) {
  for (auto& [other, existing] : plan.views) {
    if (existing.base == value) existing = {view.base, view.axis, existing.offset + view.offset};
  }
  plan.views[value] = view;
}

// All outputs of one Split, in order, from `first` on: then the Split's input can lie in the Concat
// itself and nothing moves (YOLO's C2f and C3k2).
Node* whole_split(const Node& concat, std::size_t first) {
  Node* split = producer(concat.inputs()[first], Op::kSplit);
  if (!split || !is_along_innermost(*split)) return nullptr;
  const auto& parts = split->outputs();
  if (parts.size() > concat.inputs().size() - first) return nullptr;
  const auto at = concat.inputs().begin() + static_cast<std::ptrdiff_t>(first);
  return std::equal(parts.begin(), parts.end(), at) ? split : nullptr;
}

void view_concat(const Graph& graph, const Node& concat, ViewPlan& plan) {
  // What the caller reads has the caller's dtype and layout: it is written by a copy.
  if (plan.owner(concat.output())->is_graph_output()) return;
  const auto axis = static_cast<std::size_t>(innermost(*concat.output()));
  std::int64_t offset = 0;
  std::size_t i = 0;
  while (i < concat.inputs().size()) {
    Value* part = concat.inputs()[i];
    const Node* split = whole_split(concat, i);
    std::size_t taken = 1;
    if (split && is_free(plan, graph, split->input(0))) {
      taken = split->outputs().size();
      part = split->input(0);
    }
    const auto uses = std::count(concat.inputs().begin(), concat.inputs().end(), part);
    if (is_free(plan, graph, part) && uses <= 1 && !plan.upsampled.contains(part)) {
      add_view(plan, part, shifted(plan, concat.output(), offset));
    }
    offset += part->shape[axis];
    i += taken;
  }
}

// The model's inputs are the caller's: their layout is not ours to read through.
bool can_host(const ViewPlan& plan, const Value* value) {
  return plan.owner(value)->producer() != nullptr;
}

void view_split(const Graph& graph, const Node& split, ViewPlan& plan) {
  if (!can_host(plan, split.input(0))) return;
  if (plan.upsampled.contains(split.input(0))) return;
  const auto axis = static_cast<std::size_t>(innermost(*split.input(0)));
  std::int64_t offset = 0;
  for (Value* part : split.outputs()) {
    if (part && is_free(plan, graph, part))
      plan.views[part] = shifted(plan, split.input(0), offset);
    if (part) offset += part->shape[axis];
  }
}

void view_slice(const Graph& graph, const Node& slice, ViewPlan& plan) {
  for (int i = 1; i < 5; ++i) {
    if (slice.has_input(i) && !slice.input(i)->is_constant()) return;
  }
  const Shape& x = slice.input(0)->shape;
  const auto ints = [&](int i) { return slice.has_input(i) ? ints_of(slice.input(i)) : Ints(); };
  const auto ranges = model::slice_ranges(x, ints(1), ints(2), ints(3), ints(4));
  if (x.size() < 2 || plan.upsampled.contains(slice.input(0))) return;
  const auto channels = static_cast<std::size_t>(innermost(*slice.input(0)));
  for (std::size_t axis = 0; axis < ranges.size(); ++axis) {
    const bool whole = ranges[axis].count == x[axis];
    if (ranges[axis].step != 1 || (axis != channels && !whole)) return;
  }
  if (can_host(plan, slice.input(0)) && is_free(plan, graph, slice.output())) {
    plan.views[slice.output()] = shifted(plan, slice.input(0), ranges[channels].start);
  }
}

// Whole factors, and the pixel grid that repeats each pixel: x / factor rounded down.
std::optional<IndexMap> index_map(const Node& resize) {
  if (resize.attributes.get_string("mode", "nearest") != "nearest") return std::nullopt;
  const std::string place =
      resize.attributes.get_string("coordinate_transformation_mode", "half_pixel");
  const std::string round = resize.attributes.get_string("nearest_mode", "round_prefer_floor");
  const bool repeats = (place == "asymmetric" && round == "floor") ||
                       ((place == "half_pixel" || place == "pytorch_half_pixel") &&
                        (round == "round_prefer_floor" || round == "round_prefer_ceil"));
  const Shape& x = resize.input(0)->shape;
  const Shape& y = resize.output()->shape;
  if (!repeats || x.size() != 4 || x[0] != y[0] || x[1] != y[1] || y[2] % x[2] != 0 ||
      y[3] % x[3] != 0) {
    return std::nullopt;
  }
  return IndexMap{resize.input(0), y[2] / x[2], y[3] / x[3]};
}

}  // namespace

const Value* ViewPlan::owner(const Value* value) const {
  if (const auto map = upsampled.find(value); map != upsampled.end())
    return owner(map->second.source);
  const auto view = views.find(value);
  return view == views.end() ? value : view->second.base;
}

ViewPlan plan_views(const Graph& graph, const std::vector<Op>& reads_through) {
  ViewPlan plan;
  for (const Node* resize : graph.nodes(Op::kResize)) {
    const auto map = index_map(*resize);
    const Value* y = resize->output();
    const auto can = [&](const Node* reader) {
      return std::find(reads_through.begin(), reads_through.end(), reader->op()) !=
             reads_through.end();
    };
    if (map && !y->is_graph_output() &&
        std::all_of(y->readers().begin(), y->readers().end(), can)) {
      plan.upsampled[y] = *map;
    }
  }
  // Readers first: a Concat inside a Concat finds its own place before its parts take theirs.
  const std::vector<Node*> nodes = graph.nodes();
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if ((*node)->op() == Op::kConcat && is_along_innermost(**node))
      view_concat(graph, **node, plan);
  }
  for (const Node* node : nodes) {
    if (node->op() == Op::kSplit && is_along_innermost(*node)) view_split(graph, *node, plan);
    if (node->op() == Op::kSlice) view_slice(graph, *node, plan);
  }
  return plan;
}

}  // namespace peregrine::compiler
