// SPDX-License-Identifier: Apache-2.0
#include "compiler/passes.h"
#include "compiler/rewrite.h"
#include "model/geometry.h"

namespace peregrine::compiler {
namespace {

// A mean over the last axis alone, kept as an axis of 1: the form every exporter writes.
bool is_mean_of_last(const Node* node, const Value* x) {
  if (!node || node->op() != Op::kReduceMean || node->input(0) != x) return false;
  if (node->attributes.get_int("keepdims", 1) == 0) return false;
  const Value* axes = node->input(1);
  if (!axes || !axes->is_constant()) return false;
  const Ints values = ints_of(axes);
  return values.size() == 1 && model::wrap_axis(values[0], x->rank()) == x->rank() - 1;
}

bool is_square_of(const Node* node, const Value* x) {
  if (!node || node->input(0) != x) return false;
  if (node->op() == Op::kPow) return scalar(node->input(1)) == 2.0F;
  return node->op() == Op::kMul && node->input(1) == x;
}

// A vector over the last axis.
bool is_vector(const Value* value, std::int64_t extent) {
  return value && value->is_constant() && value->constant()->size() == extent &&
         value->shape.back() == extent;
}

Value* as_vector(Graph& graph, Value* value) {
  if (value->rank() == 1) return value;
  return add_floats(graph, value->name + ":flat", floats_of(value), {value->constant()->size()});
}

struct Match {
  Value* x = nullptr;
  float epsilon = 0;
  std::vector<Node*> parts;
};

// From the Div: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps).
Match match_normal(Node* div) {
  Node* sub = producer(div->input(0), Op::kSub);
  Node* root = producer(div->input(1), Op::kSqrt);
  Node* add = root ? producer(root->input(0), Op::kAdd) : nullptr;
  const auto epsilon = with_scalar(add);
  if (!sub || !epsilon) return {};
  Node* mean = sub->input(1)->producer();
  Node* variance = producer(epsilon->value, Op::kReduceMean);
  Node* square = variance ? variance->input(0)->producer() : nullptr;
  const bool fits = is_mean_of_last(mean, sub->input(0)) && variance &&
                    is_mean_of_last(variance, variance->input(0)) &&
                    is_square_of(square, sub->output());
  if (!fits) return {};
  return {sub->input(0), epsilon->number, {mean, sub, square, variance, add, root}};
}

}  // namespace

int recognise_layer_norm(Graph& graph) {
  int found = 0;
  for (Node* div : graph.nodes(Op::kDiv)) {
    Match match = match_normal(div);
    if (!match.x) continue;
    const std::int64_t extent = match.x->shape.back();
    Node* mul = div->output()->only_reader();
    if (!mul || mul->op() != Op::kMul) continue;
    Value* scale = partner(*mul, div->output());
    if (!is_vector(scale, extent)) continue;
    std::vector<Value*> inputs{match.x, as_vector(graph, scale)};
    Node* last = mul;
    match.parts.push_back(div);
    Node* add = mul->output()->only_reader();
    Value* bias = add && add->op() == Op::kAdd ? partner(*add, mul->output()) : nullptr;
    if (is_vector(bias, extent)) {
      inputs.push_back(as_vector(graph, bias));
      match.parts.push_back(mul);
      last = add;
    }
    Node* made = replace_node(graph, last, Op::kLayerNormalization, inputs, match.parts);
    made->attributes.set("axis", std::int64_t{-1});
    made->attributes.set("epsilon", match.epsilon);
    ++found;
  }
  graph.sort();
  graph.remove_dead();
  return found;
}

}  // namespace peregrine::compiler
