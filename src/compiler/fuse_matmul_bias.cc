// SPDX-License-Identifier: Apache-2.0
#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {

int fuse_matmul_bias(Graph& graph) {
  int fused = 0;
  for (Node* matmul : graph.nodes(Op::kMatMul)) {
    Node* add = matmul->output()->only_reader();
    const Value* weights = matmul->input(1);
    if (!add || add->op() != Op::kAdd || !weights->is_constant() || weights->rank() != 2 ||
        matmul->has_input(2) || !matmul->epilogue.empty()) {
      continue;
    }
    Value* bias = partner(*add, matmul->output());
    const std::int64_t columns = weights->shape[1];
    const bool vector = bias && bias->is_constant() && bias->dtype == DType::kFloat32 &&
                        bias->constant()->size() == columns && bias->shape.back() == columns;
    if (!vector || add->output()->shape != matmul->output()->shape) continue;
    matmul->set_input(2, bias->rank() == 1
                             ? bias
                             : add_floats(graph, bias->name + ":flat", floats_of(bias), {columns}));
    graph.absorb(add, matmul);
    ++fused;
  }
  return fused;
}

}  // namespace peregrine::compiler
