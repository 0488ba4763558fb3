// SPDX-License-Identifier: Apache-2.0
#include "model/normalize_opset.h"

#include <algorithm>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::model {
namespace {

bool is_reduction(Op op) { return op >= Op::kReduceL1 && op <= Op::kReduceSumSquare; }
static_assert(static_cast<int>(Op::kReduceSumSquare) - static_cast<int>(Op::kReduceL1) == 9,
              "the ten reductions stand side by side in ops.def");

// Squeeze, Unsqueeze, Split (opset 13), reductions (13 and 18): a list of integers moved from an
// attribute to the second input.
void attribute_to_input(Graph& graph, Node& node, const char* attribute) {
  if (!node.attributes.has(attribute)) return;
  if (!node.has_input(1)) {
    const Ints values = node.attributes.get_ints(attribute);
    node.set_input(1, graph.add_constant(node.name() + ":" + attribute, values));
  }
  node.attributes.erase(attribute);
}

// Before opset 13 the three saw their input as a matrix: `axis` (default 1) split rows from
// columns, and the whole row was normalized. Now one axis is (default -1).
void keep_matrix_softmax(Node& node) {
  const std::int64_t axis = node.attributes.get_int("axis", 1);
  node.attributes.set("axis", axis);
  node.attributes.set("flatten_from_axis", std::int64_t{1});
}

void refuse_training(const Graph& graph, const Node& node) {
  if (node.op() == Op::kBatchNormalization && node.attributes.get_int("training_mode", 0) != 0) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("model '{}': {} is in training mode; export the model for inference",
                            graph.path, describe(node)));
  }
}

void rename_grid_sample_mode(Node& node) {
  const std::string mode = node.attributes.get_string("mode", "linear");
  if (mode == "bilinear") node.attributes.set("mode", std::string("linear"));
  if (mode == "bicubic") node.attributes.set("mode", std::string("cubic"));
}

// Opset 11 demanded roi and scales: exporters write empty tensors where they mean "absent".
void drop_empty_inputs(Node& node, std::initializer_list<int> indices) {
  for (const int index : indices) {
    const Value* value = node.input(index);
    if (value && value->is_constant() && value->constant()->size() == 0) {
      node.set_input(index, nullptr);
    }
  }
}

}  // namespace

void normalize_opset(Graph& graph) {
  for (Node* node : graph.nodes()) {
    const Op op = node->op();
    refuse_training(graph, *node);
    if (op == Op::kSqueeze || op == Op::kUnsqueeze || is_reduction(op)) {
      attribute_to_input(graph, *node, "axes");
    }
    if (op == Op::kSplit) attribute_to_input(graph, *node, "split");
    if (op == Op::kResize) drop_empty_inputs(*node, {1, 2, 3});
    if (op == Op::kGridSample) rename_grid_sample_mode(*node);
    if (op == Op::kGroupNormalization && graph.opset < 21) {  // scale and bias: one entry a group
      node->attributes.set("scale_per_group", std::int64_t{1});
    }
    const bool softmax = op == Op::kSoftmax || op == Op::kLogSoftmax || op == Op::kHardmax;
    if (softmax && graph.opset < 13) keep_matrix_softmax(*node);
    // Before opset 14 a zero in Reshape's shape always meant "copy"; files may still carry the bit.
    if (op == Op::kReshape && graph.opset < 14) node->attributes.erase("allowzero");
  }
}

}  // namespace peregrine::model
