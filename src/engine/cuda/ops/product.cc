// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/product.h"

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/matmul.h"
#include "engine/cuda/ops/epilogue.h"
#include "engine/cuda/ops/operands.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Node;

namespace {

MatmulParams matmul_params(const BoundStep& step) {
  const model::Attributes& a = step.step.attributes;
  MatmulParams p =
      make_matmul(step.input(0), step.input(1), step.input(2), step.input(3), step.output());
  p.alpha = a.get_float("alpha", 1.0F);
  p.beta = a.get_float("beta", 1.0F);
  p.activation = activation_params(step.step.epilogue);
  p.residual_before_activation = residual_first(step.step.epilogue);
  return p;
}

}  // namespace

void emit_product(Lowering& to, const Node& node, const Product& product) {
  try {
    make_matmul(alignment_view(product.a), alignment_view(product.b), alignment_view(product.bias),
                alignment_view(product.residual), alignment_view(product.y));
  } catch (const Error& error) {
    Lowering::refuse(node, error.what());
  }
  Step step = to.step(to.precision() == Precision::kFloat16 ? "matmul" : "matmul_float", node);
  if (product.alpha != 1.0F) step.attributes.set("alpha", product.alpha);
  if (product.beta != 1.0F) step.attributes.set("beta", product.beta);
  step.inputs = {product.a, product.b, product.bias, product.residual};
  step.outputs = {product.y};
  to.emit(std::move(step));
}

void run_matmul(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  launch_matmul(matmul_params(step), step.overlapped, step.stream);
}

void run_matmul_float(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  launch_matmul_float(matmul_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
