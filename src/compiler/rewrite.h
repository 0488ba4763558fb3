// SPDX-License-Identifier: Apache-2.0
// What passes share: looking at patterns and putting one node in the place of several.
#pragma once

#include <optional>
#include <vector>

#include "model/graph.h"

namespace peregrine::compiler {

using model::Attributes;
using model::Epilogue;
using model::Graph;
using model::Ints;
using model::Node;
using model::Op;
using model::Value;

/// The producer of `value` when it has that op, else null.
Node* producer(const Value* value, Op op);
/// The number a constant of one element holds, none for anything else.
std::optional<float> scalar(const Value* value);
/// For a node of two inputs in any order: the input that is not `value`; null when neither is.
Value* partner(const Node& node, const Value* value);
/// For a commutative node with one scalar constant: {the other input, the number}.
struct Scaled {
  Value* value = nullptr;
  float number = 0;
};
std::optional<Scaled> with_scalar(const Node* node);

/// A new node takes the place and the output of `last`; `parts` are the other nodes it does the
/// work of: `remove_dead` takes them out unless someone else reads them.
Node* replace_node(Graph& graph, Node* last, Op op, std::vector<Value*> inputs,
                   const std::vector<Node*>& parts);

/// Axes of a Transpose's input in the output's order; reversed where the node does not say.
Ints transpose_order(const Node& transpose);

/// Contents of a float constant as float32, whatever its width.
std::vector<float> floats_of(const Value* value);
/// Contents of an integer constant.
Ints ints_of(const Value* value);
/// A float32 constant; keeps FP16 weights FP32 until the engine rounds them once.
Value* add_floats(Graph& graph, const std::string& name, std::span<const float> values,
                  Shape shape);

/// Ops of one input an epilogue may hold.
bool is_activation(const Node& node);
/// Writes such a node's function into an epilogue.
void set_activation(const Node& node, Epilogue& epilogue);

}  // namespace peregrine::compiler
