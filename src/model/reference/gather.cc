// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "model/absent_rows.h"
#include "model/convert.h"
#include "model/geometry.h"
#include "model/reference/bytes.h"
#include "model/reference/kernel.h"
#include "model/shape_rules.h"

namespace peregrine::model::reference {
namespace {

std::int64_t axis_of(const KernelContext& c, std::int64_t otherwise) {
  return wrap_axis(c.attributes().get_int("axis", otherwise),
                   static_cast<std::int64_t>(c.shape(0).size()));
}

// Whether an index of -1 stands for a row that is absent, and gives zeros.
bool has_absent_rows(const KernelContext& c) {
  return c.attributes().get_int(kAbsentRowsAttribute, 0) != 0;
}

std::int64_t wrap_index(const KernelContext& c, std::int64_t index, std::int64_t extent) {
  if (index < -extent || index >= extent) {
    c.fail(fmt::format("has index {} for an axis of {}", index, extent));
  }
  return index < 0 ? index + extent : index;
}

enum class Reduction { kNone, kAdd, kMul, kMax, kMin };

Reduction reduction_of(const KernelContext& c) {
  const std::string name = c.attributes().get_string("reduction", "none");
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "max") return Reduction::kMax;
  if (name == "min") return Reduction::kMin;
  c.fail(fmt::format("has unknown reduction '{}'", name));
}

template <typename T>
void merge(Reduction reduction, T& into, T value) {
  switch (reduction) {
    case Reduction::kNone: into = value; break;
    case Reduction::kAdd: into += value; break;
    case Reduction::kMul: into *= value; break;
    case Reduction::kMax: into = std::max(into, value); break;
    case Reduction::kMin: into = std::min(into, value); break;
  }
}

// Offset in `data` of the tuple of indices at `tuple`, over axes from `first`.
std::int64_t tuple_offset(const KernelContext& c, const std::int64_t* tuple, std::int64_t depth,
                          const Shape& shape, const Ints& strides, std::size_t first) {
  std::int64_t offset = 0;
  for (std::int64_t k = 0; k < depth; ++k) {
    const std::size_t axis = first + static_cast<std::size_t>(k);
    offset += wrap_index(c, tuple[k], shape[axis]) * strides[axis];
  }
  return offset;
}

}  // namespace

namespace kernels {

void gather(const KernelContext& c) {
  const AxisView x = axis_view(c.shape(0), axis_of(c, 0));
  const Ints indices = to_ints(c.in(1));
  const bool absent = has_absent_rows(c);
  if (absent) std::memset(c.out().data(), 0, c.out().bytes());
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  std::int64_t at = 0;
  for (std::int64_t outer = 0; outer < x.outer; ++outer)
    for (const std::int64_t index : indices) {
      if (index < 0 && absent) {
        at += x.inner;
        continue;
      }
      const std::int64_t row = (outer * x.extent + wrap_index(c, index, x.extent)) * x.inner;
      for (std::int64_t i = 0; i < x.inner; ++i) to.put(at++, from.at(row + i));
    }
}

void gather_elements(const KernelContext& c) {
  const auto axis = static_cast<std::size_t>(axis_of(c, 0));
  const Ints indices = to_ints(c.in(1));
  const Ints data = packed_strides(c.shape(0));
  Ints strides = data;
  strides[axis] = 0;
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  Walker walker(c.shape(1), {strides});
  for (std::size_t i = 0; i < indices.size(); ++i, walker.next()) {
    const std::int64_t index = wrap_index(c, indices[i], c.shape(0)[axis]);
    to.put(static_cast<std::int64_t>(i), from.at(walker.offset(0) + index * data[axis]));
  }
}

void gather_nd(const KernelContext& c) {
  const auto batch_axes = static_cast<std::size_t>(c.attributes().get_int("batch_dims", 0));
  const Shape& x = c.shape(0);
  const Ints indices = to_ints(c.in(1));
  const std::int64_t depth = c.shape(1).back();
  const Ints strides = packed_strides(x);
  std::int64_t batches = 1;
  for (std::size_t i = 0; i < batch_axes; ++i) batches *= x[i];
  std::int64_t inner = 1;
  for (std::size_t i = batch_axes + static_cast<std::size_t>(depth); i < x.size(); ++i)
    inner *= x[i];
  const std::int64_t tuples =
      batches == 0 ? 0 : static_cast<std::int64_t>(indices.size()) / depth / batches;
  const std::int64_t batch_size = batches == 0 ? 0 : c.in(0).size() / batches;
  const bool absent = has_absent_rows(c);
  if (absent) std::memset(c.out().data(), 0, c.out().bytes());
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  std::int64_t at = 0;
  for (std::int64_t b = 0; b < batches; ++b)
    for (std::int64_t t = 0; t < tuples; ++t) {
      const std::int64_t* tuple = indices.data() + (b * tuples + t) * depth;
      if (tuple[0] < 0 && absent) {
        at += inner;
        continue;
      }
      const std::int64_t row =
          b * batch_size + tuple_offset(c, tuple, depth, x, strides, batch_axes);
      for (std::int64_t i = 0; i < inner; ++i) to.put(at++, from.at(row + i));
    }
}

void scatter_elements(const KernelContext& c) {
  const auto axis = static_cast<std::size_t>(axis_of(c, 0));
  const Reduction reduction = reduction_of(c);
  const Ints indices = to_ints(c.in(1));
  const Ints data = packed_strides(c.shape(0));
  if (c.shape(1) != c.shape(2) || c.shape(1).size() != c.shape(0).size()) {
    c.fail("has indices and updates of different shapes");
  }
  Ints strides = data;
  strides[axis] = 0;
  copy(c);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    T* y = c.result<T>();
    Walker walker(c.shape(1), {strides});
    for (std::size_t i = 0; i < indices.size(); ++i, walker.next()) {
      const std::int64_t index = wrap_index(c, indices[i], c.shape(0)[axis]);
      const std::int64_t at = walker.offset(0) + index * data[axis];
      if (at >= c.out().size()) c.fail("has more indices than its data has rows");
      merge(reduction, y[at], c.data<T>(2)[i]);
    }
  });
}

void scatter_nd(const KernelContext& c) {
  const Shape& x = c.shape(0);
  const Reduction reduction = reduction_of(c);
  const Ints indices = to_ints(c.in(1));
  const std::int64_t depth = c.shape(1).empty() ? 0 : c.shape(1).back();
  if (depth < 1 || depth > static_cast<std::int64_t>(x.size()))
    c.fail("has indices deeper than its data");
  const Ints strides = packed_strides(x);
  std::int64_t inner = 1;
  for (std::size_t i = static_cast<std::size_t>(depth); i < x.size(); ++i) inner *= x[i];
  const std::int64_t tuples = static_cast<std::int64_t>(indices.size()) / depth;
  if (c.in(2).size() != tuples * inner) c.fail("has updates that do not fit its indices");
  copy(c);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    T* y = c.result<T>();
    for (std::int64_t t = 0; t < tuples; ++t) {
      const std::int64_t row = tuple_offset(c, indices.data() + t * depth, depth, x, strides, 0);
      for (std::int64_t i = 0; i < inner; ++i)
        merge(reduction, y[row + i], c.data<T>(2)[t * inner + i]);
    }
  });
}

void one_hot(const KernelContext& c) {
  const auto rank = static_cast<std::int64_t>(c.shape(0).size()) + 1;
  const std::int64_t axis = wrap_axis(c.attributes().get_int("axis", -1), rank);
  const AxisView y = axis_view(c.out().shape(), axis);
  // Indices may be floats that hold integers.
  const Tensor wide = convert(c.in(0), DType::kInt64);
  const auto indices = wide.as<std::int64_t>();
  const Bytes values(c.in(2));
  MutableBytes to(c.out());
  std::int64_t at = 0;
  for (std::int64_t outer = 0; outer < y.outer; ++outer)
    for (std::int64_t k = 0; k < y.extent; ++k)
      for (std::int64_t i = 0; i < y.inner; ++i) {
        std::int64_t index = indices[static_cast<std::size_t>(outer * y.inner + i)];
        if (index < 0) index += y.extent;
        to.put(at++, values.at(index == k ? 1 : 0));
      }
}

void compress(const KernelContext& c) {
  const Ints keep = to_ints(c.in(1));
  const bool flat = !c.attributes().has("axis");
  const AxisView x = flat ? AxisView{1, c.in(0).size(), 1} : axis_view(c.shape(0), axis_of(c, 0));
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  std::int64_t at = 0;
  for (std::int64_t outer = 0; outer < x.outer; ++outer)
    for (std::size_t k = 0; k < keep.size(); ++k) {
      if (keep[k] == 0) continue;
      if (static_cast<std::int64_t>(k) >= x.extent) c.fail("keeps more than its axis has");
      const std::int64_t row = (outer * x.extent + static_cast<std::int64_t>(k)) * x.inner;
      for (std::int64_t i = 0; i < x.inner; ++i) to.put(at++, from.at(row + i));
    }
}

void non_zero(const KernelContext& c) {
  const Shape& shape = c.shape(0);
  std::vector<Ints> found(shape.size());
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const Ints strides = packed_strides(shape);
    for (std::int64_t i = 0; i < c.in(0).size(); ++i) {
      if (c.data<T>(0)[i] == T(0)) continue;
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        found[axis].push_back(i / strides[axis] % shape[axis]);
      }
    }
  });
  const bool bounded = c.attributes().get_int(kBoundedAttribute, 0) != 0;
  for (Ints& axis : found) {
    if (bounded) axis.resize(static_cast<std::size_t>(c.in(0).size()), -1);
  }
  const auto count = static_cast<std::int64_t>(found.empty() ? 0 : found[0].size());
  Ints flat;
  for (const Ints& axis : found) flat.insert(flat.end(), axis.begin(), axis.end());
  c.out() = Tensor::of<std::int64_t>(flat, {static_cast<std::int64_t>(shape.size()), count});
}

}  // namespace kernels
}  // namespace peregrine::model::reference
