// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "model/absent_rows.h"
#include "model/geometry.h"
#include "model/shape_rules.h"

namespace peregrine::model::rules {
namespace {

std::size_t axis_attribute(const RuleContext& c, std::int64_t otherwise) {
  return static_cast<std::size_t>(wrap_axis(c.attributes().get_int("axis", otherwise), c.rank(0)));
}

}  // namespace

void compress(RuleContext& c) {
  const Ints keep = c.ints(1);
  const std::int64_t kept = std::count_if(keep.begin(), keep.end(), [](auto v) { return v != 0; });
  if (!c.attributes().has("axis")) return c.set(0, c.dtype(0), {kept});
  Shape result = c.shape(0);
  result[axis_attribute(c, 0)] = kept;
  c.set(0, c.dtype(0), std::move(result));
}

void gather(RuleContext& c) {
  const std::size_t axis = axis_attribute(c, 0);
  Shape result = c.shape(0);
  const Shape& indices = c.shape(1);
  const auto at = result.erase(result.begin() + static_cast<std::ptrdiff_t>(axis));
  result.insert(at, indices.begin(), indices.end());
  c.set(0, c.dtype(0), std::move(result));
}

void gather_elements(RuleContext& c) {
  if (c.rank(0) != c.rank(1)) c.fail("has indices of another rank than its data");
  c.set(0, c.dtype(0), c.shape(1));
}

void gather_nd(RuleContext& c) {
  const std::int64_t batch = c.attributes().get_int("batch_dims", 0);
  const Shape& x = c.shape(0);
  const Shape& indices = c.shape(1);
  const std::int64_t depth = indices.empty() ? 0 : indices.back();
  if (indices.empty() || batch < 0 || batch >= c.rank(1) || depth < 1 ||
      depth > c.rank(0) - batch) {
    c.fail(fmt::format("gathers from {} with indices {}", to_string(x), to_string(indices)));
  }
  Shape result(indices.begin(), indices.end() - 1);
  result.insert(result.end(), x.begin() + batch + depth, x.end());
  c.set(0, c.dtype(0), std::move(result));
}

// Both: unknown until the node runs, unless its length is fixed to the most it can be.
void non_zero(RuleContext& c) {
  if (c.attributes().get_int(kBoundedAttribute, 0) == 0) return;
  c.set(0, DType::kInt64, {c.rank(0), element_count(c.shape(0))});
}

void non_max_suppression(RuleContext& c) {
  if (c.attributes().get_int(kBoundedAttribute, 0) == 0) return;
  const Shape &boxes = c.shape(0), &scores = c.shape(1);
  if (boxes.size() != 3 || scores.size() != 3 || boxes[0] != scores[0] || boxes[1] != scores[2] ||
      boxes[2] != 4) {
    c.fail(fmt::format("suppresses boxes {} by scores {}", to_string(boxes), to_string(scores)));
  }
  const double limit = c.has(2) ? c.number(2) : 0;  // often the largest int64
  const auto most =
      static_cast<std::int64_t>(std::clamp(limit, 0.0, static_cast<double>(boxes[1])));
  c.set(0, DType::kInt64, {scores[0] * scores[1] * most, 3});
}

void one_hot(RuleContext& c) {
  const auto depth = static_cast<std::int64_t>(std::clamp(c.number(1), -1.0, 0x1p40));
  const std::int64_t axis = wrap_axis(c.attributes().get_int("axis", -1), c.rank(0) + 1);
  Shape result = c.shape(0);
  result.insert(result.begin() + axis, depth);
  c.set(0, c.dtype(2), std::move(result));
}

void top_k(RuleContext& c) {
  const std::size_t axis = axis_attribute(c, -1);
  const Ints k = c.ints(1);
  Shape result = c.shape(0);
  if (k.size() != 1 || k[0] < 0 || k[0] > result[axis]) {
    c.fail(fmt::format("takes {} of axis {} of {}", to_string(k), axis, to_string(result)));
  }
  result[axis] = k[0];
  c.set(0, c.dtype(0), result);
  c.set(1, DType::kInt64, result);
}

void arg_reduce(RuleContext& c) {
  const std::size_t axis = axis_attribute(c, 0);
  Shape result = c.shape(0);
  if (result[axis] == 0) c.fail("searches an empty axis");
  if (c.attributes().get_int("keepdims", 1) != 0) {
    result[axis] = 1;
  } else {
    result.erase(result.begin() + static_cast<std::ptrdiff_t>(axis));
  }
  c.set(0, DType::kInt64, std::move(result));
}

void reduce(RuleContext& c) {
  const Shape& x = c.shape(0);
  const Ints axes = c.ints(1);
  const bool keep = c.attributes().get_int("keepdims", 1) != 0;
  if (axes.empty() && c.attributes().get_int("noop_with_empty_axes", 0) != 0) return same(c);
  std::vector<bool> reduced(x.size(), axes.empty());
  for (const std::int64_t axis : axes) {
    reduced[static_cast<std::size_t>(wrap_axis(axis, c.rank(0)))] = true;
  }
  Shape result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!reduced[i]) result.push_back(x[i]);
    if (reduced[i] && keep) result.push_back(1);
  }
  c.set(0, c.dtype(0), std::move(result));
}

}  // namespace peregrine::model::rules
