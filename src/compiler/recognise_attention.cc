// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <algorithm>

#include "compiler/passes.h"
#include "compiler/rewrite.h"
#include "model/attention.h"
#include "model/geometry.h"

namespace peregrine::compiler {
namespace {

using Layout = model::AttentionLayout;

// An operand of attention with the transpose in front of it swallowed.
struct Operand {
  Value* value = nullptr;
  Layout layout = Layout::kHeadTokenDepth;
  std::vector<Node*> parts;
};

// [batch, tokens, heads, depth] made of [batch, tokens, heads * depth]: the same bytes.
void swallow_head_split(Operand& operand) {
  Node* reshape = producer(operand.value, Op::kReshape);
  if (!reshape || operand.layout != Layout::kTokenHeadDepth) return;
  const Shape& merged = reshape->input(0)->shape;
  const Shape& split = operand.value->shape;
  if (merged.size() != 3 || merged[0] != split[0] || merged[1] != split[1]) return;
  operand.value = reshape->input(0);
  operand.layout = Layout::kTokenMerged;
  operand.parts.push_back(reshape);
}

bool is_permutation(const Node* node, const Ints& order) {
  return node && node->op() == Op::kTranspose && node->attributes.get_ints("perm") == order;
}

// `value` is read as [batch, heads, tokens, depth]; or as [.., depth, tokens] when `flipped`.
Operand operand_of(Value* value, bool flipped) {
  Node* transpose = producer(value, Op::kTranspose);
  const Layout plain = flipped ? Layout::kHeadDepthToken : Layout::kHeadTokenDepth;
  if (!transpose) return {value, plain, {}};
  Value* source = transpose->input(0);
  if (is_permutation(transpose, {0, 1, 3, 2})) {
    return {source, flipped ? Layout::kHeadTokenDepth : Layout::kHeadDepthToken, {transpose}};
  }
  if (is_permutation(transpose, flipped ? Ints{0, 2, 3, 1} : Ints{0, 2, 1, 3})) {
    Operand operand{source, Layout::kTokenHeadDepth, {transpose}};
    swallow_head_split(operand);
    return operand;
  }
  return {value, plain, {}};
}

// Scalars multiplied onto a value, and the nodes that do it.
Value* strip_scale(Value* value, float& scale, std::vector<Node*>& parts) {
  for (;;) {
    Node* node = value->producer();
    if (!node || value->is_graph_output()) return value;
    const auto scaled = node->op() == Op::kMul ? with_scalar(node) : std::nullopt;
    const auto divisor = node->op() == Op::kDiv ? scalar(node->input(1)) : std::nullopt;
    if (!scaled && !divisor) return value;
    scale *= scaled ? scaled->number : 1 / *divisor;
    value = scaled ? scaled->value : node->input(0);
    parts.push_back(node);
  }
}

struct Match {
  Operand q, k, v;
  Layout y = Layout::kHeadTokenDepth;
  Value* mask = nullptr;
  bool zero_if_masked = false;
  float scale = 1;
  std::int64_t heads = 0;
  Node* last = nullptr;
  std::vector<Node*> parts;
};

// IsNaN and Where after Softmax: PyTorch's guard for rows that are masked whole.
Node* skip_nan_guard(Node* softmax, Match& match) {
  Value* weights = softmax->output();
  if (weights->readers().size() != 2) return nullptr;
  for (Node* test : weights->readers()) {
    if (test->op() != Op::kIsNaN) continue;
    Node* where = test->output()->only_reader();
    const bool guards = where && where->op() == Op::kWhere && where->input(0) == test->output() &&
                        where->input(2) == weights && scalar(where->input(1)) == 0.0F;
    if (!guards) return nullptr;
    match.parts.push_back(test);
    match.parts.push_back(where);
    match.zero_if_masked = true;
    return where;
  }
  return nullptr;
}

// Everything from the scores down to Q and K.
bool match_scores(Value* scores, Match& match) {
  scores = strip_scale(scores, match.scale, match.parts);
  Node* add = producer(scores, Op::kAdd);
  if (add && match.scale == 1.0F) {
    for (const int side : {0, 1}) {
      Match attempt = match;
      attempt.mask = add->input(1 - side);
      attempt.parts.push_back(add);
      if (attempt.mask->dtype == DType::kFloat32 && !producer(attempt.mask, Op::kMatMul) &&
          add->output()->shape == add->input(side)->shape &&
          match_scores(add->input(side), attempt)) {
        match = attempt;
        return true;
      }
    }
    return false;
  }
  Node* product = producer(scores, Op::kMatMul);
  if (!product || product->has_input(2) || !product->epilogue.empty() ||
      product->output()->rank() != 4 || !product->output()->only_reader()) {
    return false;
  }
  Value* q = strip_scale(product->input(0), match.scale, match.parts);
  Value* k = strip_scale(product->input(1), match.scale, match.parts);
  if (k->is_constant() || q->rank() != 4 || k->rank() != 4) return false;
  match.parts.push_back(product);
  match.heads = product->output()->shape[1];
  const Shape wanted{product->output()->shape[0], match.heads};
  // Broadcasting of heads or batches is MatMul's, not attention's.
  if (Shape{q->shape[0], q->shape[1]} != wanted || Shape{k->shape[0], k->shape[1]} != wanted)
    return false;
  match.q = operand_of(q, false);
  match.k = operand_of(k, true);
  return true;
}

// From weights to Y: weights * V, or V^T * weights^T as YOLO's C2PSA writes it.
bool match_values(Value* weights, Match& match) {
  Node* reader = weights->only_reader();
  if (!reader) return false;
  const bool flipped = is_permutation(reader, {0, 1, 3, 2});
  Node* product = flipped ? reader->output()->only_reader() : reader;
  const Value* operand = flipped ? reader->output() : weights;
  if (!product || product->op() != Op::kMatMul || product->has_input(2) ||
      !product->epilogue.empty())
    return false;
  Value* v = product->input(flipped ? 0 : 1);
  if (product->input(flipped ? 1 : 0) != operand || v == operand || v->is_constant() ||
      v->rank() != 4)
    return false;
  if (flipped) match.parts.push_back(reader);
  match.v = operand_of(v, flipped);
  match.y = flipped ? Layout::kHeadDepthToken : Layout::kHeadTokenDepth;
  match.last = product;
  // A transpose of the result to [batch, tokens, heads, depth] becomes the layout of Y.
  Node* after = product->output()->only_reader();
  const Ints to_tokens = flipped ? Ints{0, 3, 1, 2} : Ints{0, 2, 1, 3};
  if (is_permutation(after, to_tokens)) {
    match.parts.push_back(product);
    match.last = after;
    match.y = Layout::kTokenHeadDepth;
    Node* merge = after->output()->only_reader();
    const Shape& split = after->output()->shape;
    if (merge && merge->op() == Op::kReshape &&
        merge->output()->shape == Shape{split[0], split[1], split[2] * split[3]}) {
      match.parts.push_back(after);
      match.last = merge;
      match.y = Layout::kTokenMerged;
    }
  }
  return true;
}

// Heads and batch of an operand of 4 axes; of a merged one its 4-axis form was looked at before.
Shape leading(const Operand& operand, std::int64_t heads) {
  const Shape& s = operand.value->shape;
  if (operand.layout == Layout::kTokenMerged) return {s[0], heads};
  return operand.layout == Layout::kTokenHeadDepth ? Shape{s[0], s[2]} : Shape{s[0], s[1]};
}

// A mask that adds nothing to any score: what padding masks become for pictures of one size.
bool masks_nothing(const Value* mask) {
  if (!mask->is_constant()) return false;
  const std::vector<float> values = floats_of(mask);
  return std::all_of(values.begin(), values.end(), [](float each) { return each == 0; });
}

void build(Graph& graph, Match& match) {
  for (const Operand* operand : {&match.q, &match.k, &match.v}) {
    match.parts.insert(match.parts.end(), operand->parts.begin(), operand->parts.end());
  }
  std::vector<Value*> inputs{match.q.value, match.k.value, match.v.value};
  if (match.mask && masks_nothing(match.mask)) match.mask = nullptr;
  if (match.mask) inputs.push_back(match.mask);
  Node* made = replace_node(graph, match.last, Op::kAttention, inputs, match.parts);
  const auto number = [](Layout layout) { return static_cast<std::int64_t>(layout); };
  made->attributes.set("scale", match.scale);
  if (match.zero_if_masked && match.mask) made->attributes.set("zero_if_masked", std::int64_t{1});
  made->attributes.set("q_num_heads", match.heads);
  made->attributes.set("kv_num_heads", match.heads);
  made->attributes.set("layouts", Ints{number(match.q.layout), number(match.k.layout),
                                       number(match.v.layout), number(match.y)});
}

}  // namespace

int recognise_attention(Graph& graph) {
  int found = 0;
  for (Node* softmax : graph.nodes(Op::kSoftmax)) {
    if (!softmax->alive() || softmax->output()->rank() != 4) continue;
    if (model::wrap_axis(softmax->attributes.get_int("axis", -1), 4) != 3) continue;
    Match match;
    match.parts.push_back(softmax);
    Node* weights = softmax;
    if (!softmax->output()->only_reader()) weights = skip_nan_guard(softmax, match);
    if (!weights || !softmax->input(0)->only_reader()) continue;
    if (!match_scores(softmax->input(0), match) || !match_values(weights->output(), match))
      continue;
    if (leading(match.v, match.heads) != Shape{softmax->output()->shape[0], match.heads}) continue;
    build(graph, match);
    ++found;
  }
  graph.sort();
  graph.remove_dead();
  return found;
}

}  // namespace peregrine::compiler
