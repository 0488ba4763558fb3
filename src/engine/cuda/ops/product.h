// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// y = epilogue(alpha * a b + beta * bias), batched, at any strides: a [batch..., m, k],
/// b [batch..., k, n], all others [batch..., m, n]; what is broadcast has stride 0. FP16 or FP32
/// each.
struct Product {
  compiler::Operand a, b, bias, residual, y;
  float alpha = 1, beta = 1;
};

/// On tensor cores in an FP16 plan, FP32 throughout in the other. Refuses what has more than four
/// separate batch axes.
void emit_product(Lowering& to, const model::Node& node, const Product& product);

}  // namespace peregrine::cuda
