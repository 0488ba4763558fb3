// SPDX-License-Identifier: Apache-2.0
#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {
namespace {

bool takes_residual(const Node& node) {
  const Op op = node.op();
  return (op == Op::kConv || op == Op::kGemm || op == Op::kMatMul) &&
         node.epilogue.residual == Epilogue::Residual::kNone;
}

// The producer of one side of the Add that can do the addition itself: the later one, since the
// other side must be there when it runs.
Node* candidate(const Node& add, int& side) {
  Node* found = nullptr;
  for (const int each : {0, 1}) {
    Value* value = add.input(each);
    const Value* other = add.input(1 - each);
    Node* node = value ? value->producer() : nullptr;
    const bool fits = node && other && takes_residual(*node) && value->only_reader() == &add &&
                      value->shape == other->shape && value->dtype == other->dtype &&
                      !other->is_constant();
    if (!fits) continue;
    found = node;  // input 1 wins where both fit: exporters write "shortcut + branch(x)" either way
    side = each;
  }
  return found;
}

}  // namespace

int fuse_residual(Graph& graph) {
  int fused = 0;
  for (Node* add : graph.nodes(Op::kAdd)) {
    int side = 0;
    Node* node = candidate(*add, side);
    if (!node) continue;
    Value* residual = add->input(1 - side);
    node->epilogue.residual = node->epilogue.activation == Op::kIdentity
                                  ? Epilogue::Residual::kBeforeActivation
                                  : Epilogue::Residual::kAfterActivation;
    add->set_input(1 - side, nullptr);
    node->set_input(3, residual);
    graph.absorb(add, node);
    ++fused;
  }
  graph.sort();
  return fused;
}

}  // namespace peregrine::compiler
