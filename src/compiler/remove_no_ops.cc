// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {
namespace {

bool is_identity_order(const Ints& order, const Shape& shape) {
  // Axes of extent 1 may move freely: only the order of the others touches memory.
  std::int64_t last = -1;
  for (const std::int64_t axis : order) {
    if (shape[static_cast<std::size_t>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

bool is_neutral_arithmetic(const Node& node) {
  const auto right = scalar(node.input(1));
  const auto left = scalar(node.input(0));
  switch (node.op()) {
    case Op::kAdd: return right == 0.0F || left == 0.0F;
    case Op::kSub: return right == 0.0F;
    case Op::kMul: return right == 1.0F || left == 1.0F;
    case Op::kDiv: return right == 1.0F;
    default: return false;
  }
}

// The input that the node's output equals, byte for byte; null when it does something.
Value* same_bytes(const Node& node) {
  Value* x = node.input(0);
  const Value* y = node.output();
  if (!x || !y || x->dtype != y->dtype) return nullptr;
  const bool same_shape = x->shape == y->shape;
  switch (node.op()) {
    case Op::kIdentity: return x;
    case Op::kDropout: return node.output(1) && !node.output(1)->readers().empty() ? nullptr : x;
    case Op::kCast:
    case Op::kCastLike: return x;
    case Op::kConcat: return node.inputs().size() == 1 ? x : nullptr;
    case Op::kSplit: return node.outputs().size() == 1 ? x : nullptr;
    case Op::kReshape:
    case Op::kSqueeze:
    case Op::kUnsqueeze:
    case Op::kFlatten:
    case Op::kExpand:
    case Op::kTile: return same_shape ? x : nullptr;
    case Op::kPad: {
      const Value* pads = node.input(1);
      const auto zero = [](std::int64_t v) { return v == 0; };
      const bool none = pads->is_constant() && std::ranges::all_of(ints_of(pads), zero);
      return none ? x : nullptr;
    }
    case Op::kSlice: {
      const Value* steps = node.input(4);
      const auto forward = [](std::int64_t v) { return v > 0; };
      const bool in_order =
          !steps || (steps->is_constant() && std::ranges::all_of(ints_of(steps), forward));
      return same_shape && in_order ? x : nullptr;
    }
    case Op::kTranspose:
      return same_shape && is_identity_order(transpose_order(node), x->shape) ? x : nullptr;
    case Op::kResize: {
      const bool crops =
          node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize";
      return same_shape && !crops ? x : nullptr;
    }
    default: break;
  }
  if (!is_neutral_arithmetic(node)) return nullptr;
  Value* kept = scalar(node.input(0)) && !scalar(node.input(1)) ? node.input(1) : x;
  return kept->shape == y->shape ? kept : nullptr;
}

// Rewrites to Reshape with the shape it results in.
bool to_reshape(Graph& graph, Node* node) {
  const Op op = node->op();
  Value* x = node->input(0);
  const Value* y = node->output();
  const bool moves_ones =
      op == Op::kTranspose && is_identity_order(transpose_order(*node), x->shape);
  if (op != Op::kSqueeze && op != Op::kUnsqueeze && op != Op::kFlatten && !moves_ones) return false;
  Value* shape = graph.add_constant(node->name() + ":shape", y->shape);
  Node* made = replace_node(graph, node, Op::kReshape, {x, shape}, {});
  made->attributes.set("allowzero", std::int64_t{1});
  return true;
}

bool merge_reshapes(Graph& graph, Node* node) {
  const Node* before =
      node->op() == Op::kReshape ? producer(node->input(0), Op::kReshape) : nullptr;
  if (!before) return false;
  Value* shape = graph.add_constant(node->name() + ":shape", node->output()->shape);
  node->attributes.set("allowzero", std::int64_t{1});
  graph.join_origins(before, node);
  node->set_input(0, before->input(0));
  node->set_input(1, shape);
  return true;
}

bool merge_transposes(Graph& graph, Node* node) {
  const Node* before =
      node->op() == Op::kTranspose ? producer(node->input(0), Op::kTranspose) : nullptr;
  if (!before) return false;
  const Ints first = transpose_order(*before);
  Ints combined;
  for (const std::int64_t axis : transpose_order(*node))
    combined.push_back(first[static_cast<std::size_t>(axis)]);
  node->attributes.set("perm", combined);
  graph.join_origins(before, node);
  node->set_input(0, before->input(0));
  return true;
}

}  // namespace

int remove_no_ops(Graph& graph) {
  int changed = 0;
  for (Node* node : graph.nodes()) changed += to_reshape(graph, node) ? 1 : 0;
  graph.sort();
  for (Node* node : graph.nodes()) {
    if (merge_reshapes(graph, node) || merge_transposes(graph, node)) ++changed;
  }
  graph.remove_dead();
  for (Node* node : graph.nodes()) {
    Value* kept = same_bytes(*node);
    // A graph output must be computed: a bare input or constant cannot stand for it in an engine.
    if (!kept || (node->output()->is_graph_output() && !kept->producer())) continue;
    // The work goes on under the reader's or producer's name: bisecting still finds it.
    if (Node* source = kept->producer()) graph.join_origins(node, source);
    graph.replace(node->output(), kept);
    ++changed;
  }
  graph.remove_dead();
  return changed;
}

}  // namespace peregrine::compiler
