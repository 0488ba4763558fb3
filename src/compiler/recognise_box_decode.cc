// SPDX-License-Identifier: Apache-2.0
// The end of YOLOv8 to v12: distances to a box's sides as distributions over bins (Li et al.,
// "Generalized Focal Loss", 2020), boxes around anchor points, scores by sigmoid. Exporters write
// it as some fifteen nodes on [batch, ., anchors].
#include <algorithm>

#include "compiler/passes.h"
#include "compiler/rewrite.h"
#include "model/geometry.h"

namespace peregrine::compiler {
namespace {

struct Distances {
  Value* logits = nullptr;  // [batch, 4 * bins, anchors]
  Value* bins = nullptr;    // weights of a 1x1 convolution: 0, 1, 2, ...
  std::vector<Node*> parts;
};

bool has_axis(const Node& node, std::int64_t axis, int rank, std::int64_t otherwise) {
  return model::wrap_axis(node.attributes.get_int("axis", otherwise), rank) == axis;
}

// Logits as [batch, 4, bins, anchors].
bool unfolds(const Node* reshape, std::int64_t bins) {
  if (!reshape || reshape->input(0)->rank() != 3) return false;
  const Shape& x = reshape->input(0)->shape;
  return reshape->output()->shape == Shape{x[0], 4, bins, x[2]};
}

// The same distances as a sum over bins: ReduceSum(Mul(Softmax, bins)).
Distances match_summed(const Value* distances) {
  Node* sum = producer(distances, Op::kReduceSum);
  if (!sum || sum->attributes.get_int("keepdims", 1) != 0 || !sum->has_input(1) ||
      !sum->input(1)->is_constant() || ints_of(sum->input(1)) != Ints{2}) {
    return {};
  }
  Node* mul = producer(sum->input(0), Op::kMul);
  for (const int side : {0, 1}) {
    Node* softmax = mul ? producer(mul->input(side), Op::kSoftmax) : nullptr;
    Value* bins = mul ? mul->input(1 - side) : nullptr;
    if (!softmax || !has_axis(*softmax, 2, 4, -1) || !bins->is_constant()) continue;
    const std::int64_t count = bins->constant()->size();
    Node* split = producer(softmax->input(0), Op::kReshape);
    if (!unfolds(split, count) || bins->rank() < 2 ||
        bins->shape[static_cast<std::size_t>(bins->rank()) - 2] != count) {
      continue;
    }
    return {split->input(0), bins, {split, softmax, mul, sum}};
  }
  return {};
}

// Reshape(Conv(Softmax over bins)): expected distances [batch, 4, anchors].
Distances match_distances(const Value* distances) {
  Node* flat = producer(distances, Op::kReshape);
  Node* conv = flat ? producer(flat->input(0), Op::kConv) : nullptr;
  if (!conv || !conv->epilogue.empty() || conv->has_input(2) || !conv->input(1)->is_constant()) {
    return {};
  }
  const Shape& weight = conv->input(1)->shape;
  if (weight.size() != 4 || weight[0] != 1 || weight[2] != 1 || weight[3] != 1) return {};
  Node* softmax = producer(conv->input(0), Op::kSoftmax);
  if (!softmax || !has_axis(*softmax, 1, 4, -1)) return {};
  Node* transpose = producer(softmax->input(0), Op::kTranspose);
  if (!transpose || transpose->attributes.get_ints("perm") != Ints{0, 2, 1, 3}) return {};
  Node* split = producer(transpose->input(0), Op::kReshape);
  if (!unfolds(split, weight[1])) return {};
  const Shape& x = split->input(0)->shape;
  if (distances->shape != Shape{x[0], 4, x[2]}) return {};
  return {split->input(0), conv->input(1), {split, transpose, softmax, conv, flat}};
}

// Channels [first, first + 2) of the distances.
bool is_pair(const Value* value, const Value* distances, std::int64_t first) {
  const Node* slice = producer(value, Op::kSlice);
  if (!slice || slice->input(0) != distances || value->shape[1] != 2) return false;
  for (int i = 1; i < 5; ++i) {
    if (slice->has_input(i) && !slice->input(i)->is_constant()) return false;
  }
  const auto ints = [&](int i) { return slice->has_input(i) ? ints_of(slice->input(i)) : Ints(); };
  const auto ranges = model::slice_ranges(distances->shape, ints(1), ints(2), ints(3), ints(4));
  return ranges[1].start == first && ranges[1].step == 1 && ranges[2].count == distances->shape[2];
}

struct Corners {
  Node* low = nullptr;         // anchors - (left, top)
  Node* high = nullptr;        // anchors + (right, bottom)
  std::vector<float> anchors;  // x and y for low, then for high: [4, anchors]
  Distances distances;
};

bool is_anchors(const Value* value, std::int64_t anchors) {
  return value && value->is_constant() && value->constant()->size() == 2 * anchors &&
         value->rank() >= 2 && value->shape.back() == anchors;
}

Corners match_corners(Node* low, Node* high) {
  if (!low || !high || low->op() != Op::kSub || high->op() != Op::kAdd) return {};
  const Node* pair = producer(low->input(1), Op::kSlice);
  if (!pair) return {};
  Value* distances = pair->input(0);
  Corners corners{low, high, {}, match_distances(distances)};
  if (!corners.distances.logits) corners.distances = match_summed(distances);
  if (!corners.distances.logits || !is_pair(low->input(1), distances, 0)) return {};
  const std::int64_t count = distances->shape[2];
  if (!is_anchors(low->input(0), count)) return {};
  corners.anchors = floats_of(low->input(0));
  for (Value* right : high->inputs()) {
    Value* anchors = partner(*high, right);
    if (!is_pair(right, distances, 2) || !is_anchors(anchors, count)) continue;
    // Twice the same in most files; quantized ones differ.
    const std::vector<float> second = floats_of(anchors);
    corners.anchors.insert(corners.anchors.end(), second.begin(), second.end());
    corners.distances.parts.insert(corners.distances.parts.end(),
                                   {low->input(1)->producer(), right->producer(), low, high});
    return corners;
  }
  return {};
}

struct Boxes {
  Corners corners;
  bool as_corners = false;
};

// Concat((low + high) / 2, high - low) or Concat(low, high), along channels.
Boxes match_boxes(Node* concat) {
  if (!concat || concat->inputs().size() != 2 || concat->output()->rank() != 3 ||
      !has_axis(*concat, 1, 3, 0)) {
    return {};
  }
  Node* first = concat->input(0)->producer();
  Node* second = concat->input(1)->producer();
  Boxes boxes{match_corners(first, second), true};
  if (!boxes.corners.low && first && second && second->op() == Op::kSub) {
    const auto half = with_scalar(first);
    const bool halves = half && ((first->op() == Op::kDiv && half->number == 2) ||
                                 (first->op() == Op::kMul && half->number == 0.5F));
    Node* sum = halves ? producer(half->value, Op::kAdd) : nullptr;
    Node* high = second->input(0)->producer();
    Node* low = second->input(1)->producer();
    if (sum && low && partner(*sum, low->output()) == second->input(0)) {
      boxes = {match_corners(low, high), false};
      boxes.corners.distances.parts.insert(boxes.corners.distances.parts.end(),
                                           {sum, first, second});
    }
  }
  boxes.corners.distances.parts.push_back(concat);
  return boxes;
}

// The Concat that puts sigmoid scores behind the boxes.
Node* scores_of(const Value* boxes, Node*& sigmoid) {
  Node* concat = boxes->only_reader();
  if (!concat || concat->op() != Op::kConcat || concat->inputs().size() < 2 ||
      concat->input(0) != boxes || !has_axis(*concat, 1, 3, 0)) {
    return nullptr;
  }
  sigmoid = producer(concat->input(1), Op::kSigmoid);
  return sigmoid && sigmoid->output()->only_reader() == concat ? concat : nullptr;
}

Value* flattened(Graph& graph, Value* value, Shape shape) {
  return add_floats(graph, value->name + ":flat", floats_of(value), std::move(shape));
}

}  // namespace

int recognise_box_decode(Graph& graph) {
  int found = 0;
  for (Node* mul : graph.nodes(Op::kMul)) {
    if (!mul->alive()) continue;
    for (Value* side : mul->inputs()) {
      Boxes boxes = match_boxes(producer(side, Op::kConcat));
      Corners& corners = boxes.corners;
      Value* strides = partner(*mul, side);
      if (!corners.low || !strides->is_constant()) continue;
      const std::int64_t count = side->shape[2];
      if (strides->constant()->size() != count || strides->shape.back() != count) continue;
      std::vector<Value*> inputs{
          corners.distances.logits,
          add_floats(graph, mul->name() + ":anchors", corners.anchors, {4, count}),
          flattened(graph, strides, {count}),
          flattened(graph, corners.distances.bins, {corners.distances.bins->constant()->size()})};
      Node* made = replace_node(graph, mul, Op::kBoxDecode, inputs, corners.distances.parts);
      made->attributes.set("corners", std::int64_t{boxes.as_corners});
      Node* sigmoid = nullptr;
      if (Node* concat = scores_of(made->output(), sigmoid)) {
        made->set_input(4, sigmoid->input(0));
        Value* whole = graph.add_value(made->output()->name + ":scored", DType::kFloat32,
                                       made->output()->shape);
        whole->has_shape = true;
        whole->shape[1] += sigmoid->output()->shape[1];
        Node* scored =
            graph.add_node(Op::kBoxDecode, made->name(), made->inputs(), {whole}, {made, sigmoid});
        scored->attributes = made->attributes;
        std::vector<Value*> rest{whole};
        rest.insert(rest.end(), concat->inputs().begin() + 2, concat->inputs().end());
        Node* joined = replace_node(graph, concat, Op::kConcat, rest, {});
        joined->attributes.set("axis", std::int64_t{1});
      }
      ++found;
      break;
    }
  }
  graph.sort();
  graph.remove_dead();
  return found;
}

}  // namespace peregrine::compiler
