// SPDX-License-Identifier: Apache-2.0
// MatMul and Gemm. With a constant on the right and FP16, the convolution's tile kernel: rows are
// pixels. All else is a batch of strided products.
#include "compiler/strided.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/pack.h"
#include "engine/cuda/ops/product.h"
#include "engine/cuda/ops/rows.h"

namespace peregrine::cuda {

using compiler::Operand;
using model::Ints;
using model::Node;
using model::Value;

namespace {

// Both transposed or not, [k, n] as the convolution wants it: [n][k].
ConvWork work_of(const std::vector<float>& weights, std::int64_t k, std::int64_t n, bool n_first,
                 float scale) {
  ConvWork work;
  work.in = round_up_8(k);
  work.out = n;
  work.weights.assign(static_cast<std::size_t>(n * work.in), 0.0F);
  for (std::int64_t row = 0; row < n; ++row)
    for (std::int64_t i = 0; i < k; ++i) {
      work.weights[static_cast<std::size_t>(row * work.in + i)] =
          scale * weights[static_cast<std::size_t>(n_first ? row * k + i : i * n + row)];
    }
  return work;
}

// FP16 rows whose width is that of the weights: as they lie, copied, or packed with zeros.
Operand rows_of(Lowering& to, const Node& node, const Operand& x, std::int64_t width) {
  const auto stride = compiler::row_stride(x.shape, x.strides);
  const bool ready = x.dtype == DType::kFloat16 && stride && *stride % 8 == 0 &&
                     x.offset % 16 == 0 && x.shape.back() == width;
  if (ready) return rows_as_pixels(x);
  return rows_as_pixels(pack_rows(to, node, x, x.rank() - 1, width));
}

void lower_rows(Lowering& to, const Node& node, const ConvWork& work, const Operand& x) {
  Operand residual;
  if (node.has_input(3)) {
    residual = rows_as_pixels(to.read_rows(node.input(3), DType::kFloat16));
  }
  const Operand rows = rows_of(to, node, x, work.in);
  const Value* output = node.output();
  const Operand y = rows_as_pixels(to.write_rows(output, to.dtype(output)));
  emit_conv(to, node, work, {{rows}}, residual, y);
}

// NumPy's rule: a vector is a row on the left and a column on the right.
Operand matrix(Operand operand, bool left) {
  if (operand.rank() != 1) return operand;
  operand.shape.insert(left ? operand.shape.begin() : operand.shape.end(), 1);
  operand.strides.insert(left ? operand.strides.begin() : operand.strides.end(), 0);
  return operand;
}

// The output, or a residual of its shape, with the axes back that vectors lost.
Operand with_matrix_axes(Operand operand, bool left_vector, bool right_vector) {
  if (operand.is_absent()) return operand;
  if (left_vector) {
    const auto at = operand.rank() - (right_vector ? 0 : 1);
    operand.shape.insert(operand.shape.begin() + at, 1);
    operand.strides.insert(operand.strides.begin() + at, 0);
  }
  if (right_vector) {
    operand.shape.push_back(1);
    operand.strides.push_back(0);
  }
  return operand;
}

void refuse_integers(const Node& node) {
  if (node.output()->dtype != DType::kFloat32) {
    Lowering::refuse(node, "it multiplies matrices of integers");
  }
}

// [k, n] constants that the tile kernel can take; enough outputs that it is worth it.
bool takes_tile(const Lowering& to, const Value* a, const Value* b, std::int64_t k) {
  return to.precision() == Precision::kFloat16 && b->is_constant() && b->rank() == 2 &&
         !a->is_constant() && a->rank() >= 2 && a->rank() <= 5 && k > 0;
}

}  // namespace

void lower_matmul(Lowering& to, const Node& node) {
  refuse_integers(node);
  const Value* a = node.input(0);
  const Value* b = node.input(1);
  if (takes_tile(to, a, b, b->shape[0])) {
    ConvWork work = work_of(to.floats(node, 1), b->shape[0], b->shape[1], false, 1.0F);
    if (node.has_input(2)) work.bias = to.floats(node, 2);
    return lower_rows(to, node, work, to.read(a));
  }
  const bool left_vector = a->rank() == 1, right_vector = b->rank() == 1;
  Product product;
  product.a = matrix(read_as(to, node, a, to.dtype(a)), true);
  product.b =
      matrix(read_as(to, node, b, b->is_constant() ? to.compute_dtype() : to.dtype(b)), false);
  product.residual = with_matrix_axes(to.read(node.input(3)), left_vector, right_vector);
  const Operand y = with_matrix_axes(to.write(node.output()), left_vector, right_vector);
  product.bias = broadcast_to(to.read(node.input(2)), y.shape);
  const auto batched = [&](Operand operand) {
    Shape shape(y.shape.begin(), y.shape.end() - 2);
    shape.insert(shape.end(), operand.shape.end() - 2, operand.shape.end());
    return broadcast_to(std::move(operand), shape);
  };
  product.a = batched(product.a);
  product.b = batched(product.b);
  product.y = y;
  emit_product(to, node, product);
}

void lower_gemm(Lowering& to, const Node& node) {
  refuse_integers(node);
  const Value* a = node.input(0);
  const Value* b = node.input(1);
  const Value* c = node.input(2);
  const bool transpose_a = node.attributes.get_int("transA", 0) != 0;
  const bool transpose_b = node.attributes.get_int("transB", 0) != 0;
  const float alpha = node.attributes.get_float("alpha", 1.0F);
  const float beta = node.attributes.get_float("beta", 1.0F);
  const std::int64_t n = node.output()->shape[1];
  const std::int64_t k = a->shape[transpose_a ? 0 : 1];
  const bool vector_bias = !c || (c->is_constant() && (c->shape.size() < 2 || c->shape[0] == 1));
  Operand left = to.read(a);
  if (transpose_a) left = permuted(left, {1, 0});
  if (takes_tile(to, a, b, k) && vector_bias) {
    ConvWork work = work_of(to.floats(node, 1), k, n, transpose_b, alpha);
    if (c) {
      const std::vector<float> values = to.floats(node, 2);
      for (std::int64_t i = 0; i < n; ++i) {
        work.bias.push_back(beta * values[values.size() == 1 ? 0 : static_cast<std::size_t>(i)]);
      }
    }
    return lower_rows(to, node, work, left);
  }
  Product product;
  product.a = a->is_constant() ? read_as(to, node, a, to.compute_dtype()) : to.read(a);
  if (transpose_a) product.a = permuted(product.a, {1, 0});
  product.b = b->is_constant() ? read_as(to, node, b, to.compute_dtype()) : to.read(b);
  if (transpose_b) product.b = permuted(product.b, {1, 0});
  product.bias = broadcast_to(to.read(c), node.output()->shape);
  product.residual = to.read(node.input(3));
  product.alpha = alpha;
  product.beta = beta;
  product.y = to.write(node.output());
  emit_product(to, node, product);
}

}  // namespace peregrine::cuda
