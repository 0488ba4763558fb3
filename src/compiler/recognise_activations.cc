// SPDX-License-Identifier: Apache-2.0
// Exporters write activations out as their formulas. Each is found from its last node, a Mul.
#include <cmath>

#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {
namespace {

bool near(float a, double b) { return std::abs(static_cast<double>(a) - b) <= 1e-4 * std::abs(b); }

// `value` = factor * base, with factor 1 when nothing scales it; Div by a constant counts.
struct Multiple {
  const Value* base;
  float factor;
  Node* node = nullptr;
};
Multiple multiple_of(const Value* value) {
  if (Node* mul = producer(value, Op::kMul)) {
    if (const auto scaled = with_scalar(mul)) return {scaled->value, scaled->number, mul};
  }
  if (Node* div = producer(value, Op::kDiv)) {
    if (const auto by = scalar(div->input(1))) return {div->input(0), 1 / *by, div};
  }
  return {value, 1, nullptr};
}

struct Match {
  Value* x = nullptr;
  Op op = Op::kIdentity;
  Attributes attributes;
  std::vector<Node*> parts;
};

// x * f(x) with f a sigmoid, hard sigmoid, or tanh of softplus.
Match match_gate(Value* gate, Value* x) {
  if (Node* sigmoid = producer(gate, Op::kSigmoid)) {
    const Multiple inner = multiple_of(sigmoid->input(0));
    Match match{x, Op::kSilu, {}, {sigmoid}};
    if (sigmoid->input(0) == x) return match;
    if (inner.base != x) return {};
    match.attributes.set("alpha", inner.factor);  // CLIP's "quick GELU": alpha 1.702
    match.parts.push_back(inner.node);
    return match;
  }
  if (Node* hard = producer(gate, Op::kHardSigmoid)) {
    const bool swish = near(hard->attributes.get_float("alpha", 0.2F), 1.0 / 6) &&
                       near(hard->attributes.get_float("beta", 0.5F), 0.5);
    if (hard->input(0) == x && swish) return {x, Op::kHardSwish, {}, {hard}};
  }
  if (Node* tanh = producer(gate, Op::kTanh)) {
    Node* softplus = producer(tanh->input(0), Op::kSoftplus);
    if (softplus && softplus->input(0) == x) return {x, Op::kMish, {}, {tanh, softplus}};
  }
  return {};
}

// 1 + erf(x / sqrt 2), or 1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)): GELU's gate.
Match match_gelu_gate(Value* gate, Value* x) {
  Node* add = producer(gate, Op::kAdd);
  const auto one = with_scalar(add);
  if (!one || !near(one->number, 1)) return {};
  if (Node* erf = producer(one->value, Op::kErf)) {
    const Multiple inner = multiple_of(erf->input(0));
    if (inner.base != x || !near(inner.factor, 1 / std::sqrt(2.0))) return {};
    return {x, Op::kGelu, {}, {inner.node, erf, add}};
  }
  Node* tanh = producer(one->value, Op::kTanh);
  if (!tanh) return {};
  const Multiple outer = multiple_of(tanh->input(0));
  Node* sum = producer(outer.base, Op::kAdd);
  if (!sum || !near(outer.factor, std::sqrt(2 / 3.14159265358979))) return {};
  const Value* cubic = partner(*sum, x);
  const Multiple scaled = multiple_of(cubic);
  Node* power = producer(scaled.base, Op::kPow);
  if (!cubic || !near(scaled.factor, 0.044715) || !power || power->input(0) != x ||
      scalar(power->input(1)) != 3.0F) {
    return {};
  }
  Match match{x, Op::kGelu, {}, {power, scaled.node, sum, outer.node, tanh, add}};
  match.attributes.set("approximate", std::string("tanh"));
  return match;
}

// GELU is 0.5 * x * gate, multiplied in any order: collects the factors of a tree of Muls.
void factors_of(Value* value, float& number, std::vector<Value*>& factors,
                std::vector<Node*>& nodes, int depth) {
  Node* mul = producer(value, Op::kMul);
  const bool inner = mul && depth < 3 && (depth == 0 || value->only_reader());
  if (!inner) {
    if (const auto constant = scalar(value))
      number *= *constant;
    else
      factors.push_back(value);
    return;
  }
  nodes.push_back(mul);
  for (Value* input : mul->inputs()) factors_of(input, number, factors, nodes, depth + 1);
}

Match match_gelu(Node* mul) {
  float number = 1;
  std::vector<Value*> factors;
  std::vector<Node*> nodes;
  factors_of(mul->output(), number, factors, nodes, 0);
  if (factors.size() != 2 || !near(number, 0.5)) return {};
  for (const std::size_t side : {0U, 1U}) {
    Match match = match_gelu_gate(factors[side], factors[1 - side]);
    if (!match.x) continue;
    match.parts.insert(match.parts.end(), nodes.begin() + 1, nodes.end());
    return match;
  }
  return {};
}

Match match_activation(Node* mul) {
  for (const int side : {0, 1}) {
    Value* x = mul->input(1 - side);
    if (Match match = match_gate(mul->input(side), x); match.x) return match;
  }
  return match_gelu(mul);
}

}  // namespace

int recognise_activations(Graph& graph) {
  int found = 0;
  for (Node* mul : graph.nodes(Op::kMul)) {
    if (!mul->alive()) continue;
    Match match = match_activation(mul);
    if (!match.x || match.x->shape != mul->output()->shape) continue;
    std::erase(match.parts, nullptr);
    Node* made = replace_node(graph, mul, match.op, {match.x}, match.parts);
    made->attributes = match.attributes;
    ++found;
  }
  graph.sort();
  graph.remove_dead();
  return found;
}

}  // namespace peregrine::compiler
