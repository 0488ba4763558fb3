// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "model/einsum.h"
#include "model/geometry.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

template <typename T>
void multiply_plain(std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c) {
  if constexpr (std::is_same_v<T, float>) {
    multiply(m, n, k, a, k, b, n, c, n, false);
  } else {
    std::fill_n(c, m * n, T(0));
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t p = 0; p < k; ++p)
        for (std::int64_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + p] * b[p * n + j];
  }
}

template <typename T>
std::vector<T> transposed(const T* x, std::int64_t rows, std::int64_t columns) {
  std::vector<T> result(static_cast<std::size_t>(rows * columns));
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j)
      result[static_cast<std::size_t>(j * rows + i)] = x[i * columns + j];
  return result;
}

}  // namespace

namespace kernels {

void matmul(const KernelContext& c) {
  Shape a = c.shape(0);
  Shape b = c.shape(1);
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  const std::int64_t m = a[a.size() - 2];
  const std::int64_t k = a.back();
  const std::int64_t n = b.back();
  const Shape a_batch(a.begin(), a.end() - 2);
  const Shape b_batch(b.begin(), b.end() - 2);
  const Shape batch = broadcast(a_batch, b_batch);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    Walker walker(batch, {broadcast_strides(a_batch, batch), broadcast_strides(b_batch, batch)});
    for (std::int64_t i = 0; i < element_count(batch); ++i, walker.next()) {
      multiply_plain(m, n, k, c.data<T>(0) + walker.offset(0) * m * k,
                     c.data<T>(1) + walker.offset(1) * k * n, c.result<T>() + i * m * n);
    }
  });
  if (c.has(2)) {
    const float* bias = c.data<float>(2);
    float* y = c.result<float>();
    for (std::int64_t i = 0; i < c.out().size(); ++i) y[i] += bias[i % n];
  }
  apply_epilogue(c.node, c.out(), c.has(3) ? &c.in(3) : nullptr);
}

void gemm(const KernelContext& c) {
  const bool transpose_a = c.attributes().get_int("transA", 0) != 0;
  const bool transpose_b = c.attributes().get_int("transB", 0) != 0;
  const float alpha = c.attributes().get_float("alpha", 1.0F);
  const float beta = c.attributes().get_float("beta", 1.0F);
  const std::int64_t m = c.out().shape()[0];
  const std::int64_t n = c.out().shape()[1];
  const std::int64_t k = c.shape(0)[transpose_a ? 0 : 1];
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const auto a = transpose_a ? transposed(c.data<T>(0), k, m) : std::vector<T>();
    const auto b = transpose_b ? transposed(c.data<T>(1), n, k) : std::vector<T>();
    T* y = c.result<T>();
    multiply_plain(m, n, k, transpose_a ? a.data() : c.data<T>(0),
                   transpose_b ? b.data() : c.data<T>(1), y);
    for (std::int64_t i = 0; i < m * n; ++i)
      y[i] = static_cast<T>(alpha * static_cast<float>(y[i]));
    if (!c.has(2)) return;
    Walker walker(c.out().shape(), {broadcast_strides(c.shape(2), c.out().shape())});
    for (std::int64_t i = 0; i < m * n; ++i, walker.next()) {
      y[i] += static_cast<T>(beta * static_cast<float>(c.data<T>(2)[walker.offset(0)]));
    }
  });
  apply_epilogue(c.node, c.out(), c.has(3) ? &c.in(3) : nullptr);
}

// Walks every combination of labels: the definition, of the cost of the definition.
void einsum(const KernelContext& c) {
  std::vector<Shape> shapes;
  for (const Tensor* input : c.inputs) shapes.push_back(input->shape());
  const Einsum e = parse_einsum(c.attributes().get_string("equation", ""), shapes);
  const auto strides_of = [&](const Shape& shape, const std::vector<int>& labels) {
    const Ints packed = packed_strides(shape);
    Ints strides(e.extent.size(), 0);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (shape[i] != 1) strides[static_cast<std::size_t>(labels[i])] += packed[i];
    }
    return strides;
  };
  std::vector<Ints> strides{strides_of(c.out().shape(), e.output)};
  for (std::size_t i = 0; i < shapes.size(); ++i)
    strides.push_back(strides_of(shapes[i], e.inputs[i]));
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    T* y = c.result<T>();
    std::fill_n(y, c.out().size(), T(0));
    Walker walker(e.extent, strides);
    for (std::int64_t i = 0; i < element_count(e.extent); ++i, walker.next()) {
      T product = 1;
      for (std::size_t k = 0; k < c.inputs.size(); ++k)
        product *= c.data<T>(k)[walker.offset(k + 1)];
      y[walker.offset(0)] += product;
    }
  });
}

}  // namespace kernels
}  // namespace peregrine::model::reference
