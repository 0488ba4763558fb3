// SPDX-License-Identifier: Apache-2.0
// Ops that make tensors from shapes and constants, and change dtypes.
#include <algorithm>

#include "model/convert.h"
#include "model/reference/bytes.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference::kernels {

void cast(const KernelContext& c) { c.out() = convert(c.in(0), c.out().dtype()); }

void constant_of_shape(const KernelContext& c) {
  const auto value = c.attributes().get_tensor("value");
  const std::uint64_t zero = 0;
  MutableBytes y(c.out());
  for (std::int64_t i = 0; i < c.out().size(); ++i) y.put(i, value ? value->data() : &zero);
}

void dropout(const KernelContext& c) {
  copy(c);
  if (c.wants(1)) std::ranges::fill(c.out(1).as<bool>(), true);
}

void eye_like(const KernelContext& c) {
  const std::int64_t k = c.attributes().get_int("k", 0);
  const Shape& shape = c.out().shape();
  Tensor ones = Tensor::zeros(DType::kInt64, shape);
  const auto values = ones.as<std::int64_t>();
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    const std::int64_t column = row + k;
    if (column >= 0 && column < shape[1])
      values[static_cast<std::size_t>(row * shape[1] + column)] = 1;
  }
  c.out() = convert(ones, c.out().dtype());
}

void range(const KernelContext& c) {
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const T start = *c.data<T>(0);
    const T step = *c.data<T>(2);
    T* y = c.result<T>();
    for (std::int64_t i = 0; i < c.out().size(); ++i) y[i] = start + static_cast<T>(i) * step;
  });
}

void shape(const KernelContext& c) {
  const Shape& x = c.shape(0);
  const auto rank = static_cast<std::int64_t>(x.size());
  const std::int64_t stated = c.attributes().get_int("start", 0);
  const std::int64_t start = std::clamp<std::int64_t>(stated < 0 ? stated + rank : stated, 0, rank);
  for (std::int64_t i = 0; i < c.out().size(); ++i) {
    c.result<std::int64_t>()[i] = x[static_cast<std::size_t>(start + i)];
  }
}

void size(const KernelContext& c) { *c.result<std::int64_t>() = c.in(0).size(); }

}  // namespace peregrine::model::reference::kernels
