// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "model/geometry.h"
#include "model/onnx_tensor.h"
#include "model/shape_rules.h"

namespace peregrine::model::rules {
namespace {

Shape broadcast_all(const RuleContext& c) {
  Shape shape = c.shape(0);
  for (int i = 1; i < c.input_count(); ++i) shape = model::broadcast(shape, c.shape(i));
  return shape;
}

DType dtype_attribute(const RuleContext& c, const char* name, DType otherwise) {
  if (!c.attributes().has(name)) return otherwise;
  const auto number = c.attributes().get_int(name, 0);
  const auto dtype = dtype_of_onnx(static_cast<int>(std::clamp<std::int64_t>(number, 0, 255)));
  if (!dtype) c.fail(fmt::format("asks for ONNX data type {}, which is not supported", number));
  return *dtype;
}

}  // namespace

void same(RuleContext& c) { c.set(0, c.dtype(0), c.shape(0)); }

void same_as_bool(RuleContext& c) { c.set(0, DType::kBool, c.shape(0)); }

void broadcast(RuleContext& c) {
  for (int i = 1; i < c.input_count(); ++i) {
    const bool mixed = c.dtype(i) != c.dtype(0);
    if (mixed && c.node().op() != Op::kPow && c.node().op() != Op::kBitShift) {
      c.fail(fmt::format("mixes {} and {}", to_string(c.dtype(0)), to_string(c.dtype(i))));
    }
  }
  c.set(0, c.dtype(0), broadcast_all(c));
}

void broadcast_bool(RuleContext& c) { c.set(0, DType::kBool, broadcast_all(c)); }

void where(RuleContext& c) {
  if (c.dtype(0) != DType::kBool) c.fail("has a condition that is not bool");
  if (c.dtype(1) != c.dtype(2)) c.fail("chooses between two dtypes");
  c.set(0, c.dtype(1), broadcast_all(c));
}

void cast(RuleContext& c) {
  if (!c.attributes().has("to")) c.fail("lacks the attribute 'to'");
  c.set(0, dtype_attribute(c, "to", DType::kFloat32), c.shape(0));
}

void cast_like(RuleContext& c) { c.set(0, c.dtype(1), c.shape(0)); }

void dropout(RuleContext& c) {
  if (c.has(2) && c.number(2) != 0) {
    c.unsupported("is in training mode; export the model for inference");
  }
  same(c);
  c.set(1, DType::kBool, c.shape(0));
}

void eye_like(RuleContext& c) {
  if (c.rank(0) != 2) c.fail("wants a matrix");
  c.set(0, dtype_attribute(c, "dtype", c.dtype(0)), c.shape(0));
}

void constant_of_shape(RuleContext& c) {
  const auto value = c.attributes().get_tensor("value");
  if (value && value->size() != 1) c.fail("wants a value of one element");
  c.set(0, value ? value->dtype() : DType::kFloat32, c.ints(0));
}

void range(RuleContext& c) {
  const double start = c.number(0);
  const double step = c.number(2);
  const double count = std::ceil((c.number(1) - start) / step);
  if (!std::isfinite(count)) c.fail("has no finite length");
  c.set(0, c.dtype(0), {static_cast<std::int64_t>(std::clamp(count, 0.0, 0x1p40))});
}

void shape(RuleContext& c) {
  const std::int64_t rank = c.rank(0);
  const auto clamp = [&](std::int64_t v) {
    return std::clamp<std::int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  const std::int64_t start = clamp(c.attributes().get_int("start", 0));
  const std::int64_t end = clamp(c.attributes().get_int("end", rank));
  c.set(0, DType::kInt64, {std::max<std::int64_t>(end - start, 0)});
}

void size(RuleContext& c) { c.set(0, DType::kInt64, {}); }

// Per-axis scales only: blocked scales (opset 21) have the input's rank.
void quantize(RuleContext& c) {
  DType dtype = c.has(2) ? c.dtype(2) : DType::kUint8;
  if (!c.has(2)) dtype = dtype_attribute(c, "output_dtype", dtype);
  if (c.attributes().get_int("block_size", 0) != 0)
    c.unsupported("uses blocked scales, which is not supported");
  c.set(0, dtype, c.shape(0));
}

void dequantize(RuleContext& c) {
  if (c.attributes().get_int("block_size", 0) != 0)
    c.unsupported("uses blocked scales, which is not supported");
  c.set(0, c.dtype(1), c.shape(0));
}

}  // namespace peregrine::model::rules
