// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <sstream>

#include "compiler/passes.h"
#include "compiler/rewrite.h"
#include "model/geometry.h"

namespace peregrine::compiler {
namespace {

// Equal keys: one kernel could compute both.
std::string geometry_key(const Node& conv) {
  const model::ConvGeometry g =
      model::conv_geometry(conv, conv.input(0)->shape, conv.input(1)->shape);
  const model::Window& w = g.window;
  std::ostringstream key;
  key << conv.input(0)->name << '|' << to_string(w.kernel) << to_string(w.stride)
      << to_string(w.dilation) << to_string(w.pad_begin) << to_string(w.pad_end)
      << to_string(conv.epilogue.activation);
  for (const auto& [name, value] : conv.epilogue.activation_attributes) {
    key << name;
    if (const auto* number = std::get_if<float>(&value)) key << *number;
    if (const auto* text = std::get_if<std::string>(&value)) key << *text;
  }
  return key.str();
}

std::string matmul_key(const Node& node) {
  return node.input(0)->name + '|' + to_string(node.epilogue.activation) +
         (node.has_input(2) ? "b" : "");
}

bool has_constant_weights(const Node& node) {
  const bool bias = !node.has_input(2) || node.input(2)->is_constant();
  return node.input(1)->is_constant() && bias && !node.input(0)->is_constant() &&
         node.epilogue.residual == Epilogue::Residual::kNone;
}

void append(std::vector<float>& to, const std::vector<float>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

struct Joined {
  std::vector<float> weights, bias;
  std::vector<std::int64_t> parts;  // output channels of each
  std::int64_t total = 0;
};

// Weights [out, in, taps]: rows below each other.
Joined join_convs(const std::vector<Node*>& group) {
  Joined joined;
  for (const Node* node : group) {
    append(joined.weights, floats_of(node->input(1)));
    const auto channels = node->input(1)->shape[0];
    append(joined.bias, node->has_input(2)
                            ? floats_of(node->input(2))
                            : std::vector<float>(static_cast<std::size_t>(channels), 0.0F));
    joined.parts.push_back(channels);
    joined.total += channels;
  }
  return joined;
}

// Weights [k, n]: columns beside each other.
Joined join_matmuls(const std::vector<Node*>& group) {
  Joined joined;
  std::vector<std::vector<float>> columns;
  for (const Node* node : group) {
    columns.push_back(floats_of(node->input(1)));
    joined.parts.push_back(node->input(1)->shape[1]);
    joined.total += joined.parts.back();
    if (node->has_input(2)) append(joined.bias, floats_of(node->input(2)));
  }
  const auto rows = static_cast<std::size_t>(group[0]->input(1)->shape[0]);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto n = static_cast<std::ptrdiff_t>(joined.parts[i]);
      const auto first = columns[i].begin() + static_cast<std::ptrdiff_t>(row) * n;
      joined.weights.insert(joined.weights.end(), first, first + n);
    }
  return joined;
}

// One node computes all parts; a Split hands them to the old readers.
void merge(Graph& graph, const std::vector<Node*>& group, const Joined& joined, Shape weight_shape,
           std::int64_t axis) {
  Node* first = group[0];
  const std::string name = first->name() + ":merged";
  std::vector<Value*> inputs{first->input(0), add_floats(graph, name + "_weight", joined.weights,
                                                         std::move(weight_shape))};
  if (!joined.bias.empty())
    inputs.push_back(add_floats(graph, name + "_bias", joined.bias, {joined.total}));
  Node* merged = graph.add_node(first->op(), name, inputs, group);
  merged->attributes = first->attributes;
  merged->epilogue = first->epilogue;
  merged->output()->shape = first->output()->shape;
  const auto channel_axis =
      static_cast<std::size_t>(model::wrap_axis(axis, first->output()->rank()));
  merged->output()->shape[channel_axis] = joined.total;
  merged->output()->has_shape = true;
  std::vector<Value*> parts;
  for (Node* node : group) {
    Value* part = graph.add_value(node->output()->name + ":part", node->output()->dtype,
                                  node->output()->shape);
    graph.replace(node->output(), part);
    parts.push_back(part);
    graph.erase(node);
  }
  Node* split = graph.add_node(
      Op::kSplit, name + "_split",
      {merged->output(), graph.add_constant(name + "_parts", joined.parts)}, parts, {merged});
  split->attributes.set("axis", static_cast<std::int64_t>(channel_axis));
}

using Groups = std::map<std::string, std::vector<Node*>>;

}  // namespace

int merge_sibling_convs(Graph& graph) {
  Groups groups;
  for (Node* conv : graph.nodes(Op::kConv)) {
    const bool dense = conv->attributes.get_int("group", 1) == 1;
    if (dense && has_constant_weights(*conv)) groups[geometry_key(*conv)].push_back(conv);
  }
  int merged = 0;
  for (const auto& [key, group] : groups) {
    if (group.size() < 2) continue;
    Joined joined = join_convs(group);
    Shape shape = group[0]->input(1)->shape;
    shape[0] = joined.total;
    merge(graph, group, joined, shape, 1);
    merged += static_cast<int>(group.size()) - 1;
  }
  graph.sort();
  return merged;
}

int merge_sibling_matmuls(Graph& graph) {
  Groups groups;
  for (Node* matmul : graph.nodes(Op::kMatMul)) {
    const bool matrix = matmul->input(1)->rank() == 2 && matmul->input(0)->rank() >= 2;
    if (matrix && has_constant_weights(*matmul)) groups[matmul_key(*matmul)].push_back(matmul);
  }
  int merged = 0;
  for (const auto& [key, group] : groups) {
    if (group.size() < 2) continue;
    const Joined joined = join_matmuls(group);
    merge(graph, group, joined, {group[0]->input(1)->shape[0], joined.total}, -1);
    merged += static_cast<int>(group.size()) - 1;
  }
  graph.sort();
  return merged;
}

}  // namespace peregrine::compiler
