// SPDX-License-Identifier: Apache-2.0
#include "compiler/rewrite.h"

#include <limits>

#include "model/convert.h"
#include "model/shape_rules.h"

namespace peregrine::compiler {

Node* producer(const Value* value, Op op) {
  Node* node = value ? value->producer() : nullptr;
  return node && node->op() == op ? node : nullptr;
}

std::optional<float> scalar(const Value* value) {
  if (!value || !value->is_constant() || value->constant()->size() != 1) return std::nullopt;
  return model::to_floats(*value->constant())[0];
}

Value* partner(const Node& node, const Value* value) {
  if (node.inputs().size() != 2) return nullptr;
  if (node.input(0) == value) return node.input(1);
  if (node.input(1) == value) return node.input(0);
  return nullptr;
}

std::optional<Scaled> with_scalar(const Node* node) {
  if (!node || node->inputs().size() != 2) return std::nullopt;
  for (const int side : {0, 1}) {
    if (const auto number = scalar(node->input(side));
        number && !node->input(1 - side)->is_constant()) {
      return Scaled{node->input(1 - side), *number};
    }
  }
  return std::nullopt;
}

Node* replace_node(Graph& graph, Node* last, Op op, std::vector<Value*> inputs,
                   const std::vector<Node*>& parts) {
  std::vector<Node*> origins = parts;
  origins.push_back(last);
  Node* made = graph.add_node(op, last->name(), std::move(inputs), origins);
  made->output()->shape = last->output()->shape;
  made->output()->has_shape = true;
  graph.absorb(last, made);
  return made;
}

Ints transpose_order(const Node& transpose) {
  Ints order = transpose.attributes.get_ints("perm");
  if (order.empty()) {
    for (std::int64_t i = transpose.input(0)->rank(); i-- > 0;) order.push_back(i);
  }
  return order;
}

std::vector<float> floats_of(const Value* value) { return model::to_floats(*value->constant()); }

Ints ints_of(const Value* value) { return model::to_ints(*value->constant()); }

Value* add_floats(Graph& graph, const std::string& name, std::span<const float> values,
                  Shape shape) {
  return graph.add_constant(name,
                            std::make_shared<Tensor>(Tensor::of<float>(values, std::move(shape))));
}

bool is_activation(const Node& node) {
  switch (node.op()) {
    case Op::kRelu:
    case Op::kLeakyRelu:
    case Op::kElu:
    case Op::kSilu:
    case Op::kSigmoid:
    case Op::kTanh:
    case Op::kGelu:
    case Op::kHardSigmoid:
    case Op::kHardSwish:
    case Op::kMish:
    case Op::kSoftplus: return true;
    case Op::kClip:
      return (!node.has_input(1) || scalar(node.input(1))) &&
             (!node.has_input(2) || scalar(node.input(2)));
    default: return false;
  }
}

void set_activation(const Node& node, Epilogue& epilogue) {
  epilogue.activation = node.op();
  epilogue.activation_attributes = node.attributes;
  if (node.op() != Op::kClip) return;
  constexpr float kLargest = std::numeric_limits<float>::max();
  epilogue.activation_attributes.set("alpha", scalar(node.input(1)).value_or(-kLargest));
  epilogue.activation_attributes.set("beta", scalar(node.input(2)).value_or(kLargest));
}

}  // namespace peregrine::compiler
