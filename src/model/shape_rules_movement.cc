// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "model/geometry.h"
#include "model/shape_rules.h"
#include "peregrine/error.h"

namespace peregrine::model::rules {
namespace {

std::size_t axis_attribute(const RuleContext& c, std::int64_t otherwise) {
  return static_cast<std::size_t>(wrap_axis(c.attributes().get_int("axis", otherwise), c.rank(0)));
}

std::int64_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  return element_count(std::span(shape).subspan(begin, end - begin));
}

std::int64_t block_size(const RuleContext& c) {
  const std::int64_t block = c.attributes().get_int("blocksize", 0);
  if (c.rank(0) != 4 || block < 1 || block > (1 << 15)) c.fail("wants NCHW and a block size");
  return block;
}

std::set<std::int64_t> axis_set(const RuleContext& c, const Ints& axes, std::int64_t rank) {
  std::set<std::int64_t> wrapped;
  for (const std::int64_t axis : axes) {
    if (!wrapped.insert(wrap_axis(axis, rank)).second) c.fail("names an axis twice");
  }
  return wrapped;
}

}  // namespace

void reshape(RuleContext& c) {
  Shape target = c.ints(1);
  const bool zero_is_zero = c.attributes().get_int("allowzero", 0) != 0;
  const std::int64_t total = element_count(c.shape(0));
  std::int64_t known = 1;
  int unknown = -1;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] == 0 && !zero_is_zero) {
      if (i >= c.shape(0).size()) c.fail("copies a dimension its input does not have");
      target[i] = c.shape(0)[i];
    }
    if (target[i] == -1) {
      if (unknown >= 0) c.fail("leaves two dimensions open");
      unknown = static_cast<int>(i);
    } else if (target[i] < 0 || __builtin_mul_overflow(known, target[i], &known)) {
      c.fail(fmt::format("reshapes to {}", to_string(target)));
    }
  }
  if (unknown >= 0) target[static_cast<std::size_t>(unknown)] = known == 0 ? 0 : total / known;
  if (element_count(target) != total) {
    c.fail(fmt::format("reshapes {} to {}", to_string(c.shape(0)), to_string(target)));
  }
  c.set(0, c.dtype(0), std::move(target));
}

void flatten(RuleContext& c) {
  const Shape& x = c.shape(0);
  const std::int64_t rank = c.rank(0);
  const std::int64_t axis = c.attributes().get_int("axis", 1);
  if (axis < -rank || axis > rank) c.fail(fmt::format("flattens at axis {}", axis));
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  c.set(0, c.dtype(0), {product(x, 0, at), product(x, at, x.size())});
}

void squeeze(RuleContext& c) {
  const Shape& x = c.shape(0);
  const std::set<std::int64_t> axes = axis_set(c, c.ints(1), c.rank(0));
  Shape result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool named = axes.contains(static_cast<std::int64_t>(i));
    if (named && x[i] != 1) c.fail(fmt::format("squeezes axis {} of {}", i, to_string(x)));
    if (!named && (c.has(1) || x[i] != 1)) result.push_back(x[i]);
  }
  c.set(0, c.dtype(0), std::move(result));
}

void unsqueeze(RuleContext& c) {
  if (!c.has(1)) c.fail("does not say which axes to add");
  const Ints added = c.ints(1);
  const std::int64_t rank = c.rank(0) + static_cast<std::int64_t>(added.size());
  const std::set<std::int64_t> axes = axis_set(c, added, rank);
  Shape result;
  auto next = c.shape(0).begin();
  for (std::int64_t i = 0; i < rank; ++i) result.push_back(axes.contains(i) ? 1 : *next++);
  c.set(0, c.dtype(0), std::move(result));
}

void transpose(RuleContext& c) {
  const Shape& x = c.shape(0);
  Ints order = c.attributes().get_ints("perm");
  if (order.empty()) {
    order.resize(x.size());
    std::iota(order.rbegin(), order.rend(), 0);
  }
  Shape result;
  std::set<std::int64_t> seen;
  for (const std::int64_t axis : order) {
    if (axis < 0 || axis >= c.rank(0) || !seen.insert(axis).second) {
      c.fail(fmt::format("permutes {} by {}", to_string(x), to_string(order)));
    }
    result.push_back(x[static_cast<std::size_t>(axis)]);
  }
  if (result.size() != x.size()) c.fail("permutes only some axes");
  c.set(0, c.dtype(0), std::move(result));
}

void concat(RuleContext& c) {
  const std::size_t axis = axis_attribute(c, 0);
  Shape result = c.shape(0);
  for (int i = 1; i < c.input_count(); ++i) {
    Shape next = c.shape(i);
    if (next.size() != result.size() || c.dtype(i) != c.dtype(0)) {
      c.fail(fmt::format("joins {} {} and {} {}", to_string(c.dtype(0)), to_string(c.shape(0)),
                         to_string(c.dtype(i)), to_string(c.shape(i))));
    }
    const std::int64_t extent = next[axis];
    next[axis] = result[axis];
    if (next != result) {
      c.fail(fmt::format("joins {} and {} along axis {}", to_string(c.shape(0)),
                         to_string(c.shape(i)), axis));
    }
    if (__builtin_add_overflow(result[axis], extent, &result[axis])) c.fail("overflows");
  }
  c.set(0, c.dtype(0), std::move(result));
}

void split(RuleContext& c) {
  const std::size_t axis = axis_attribute(c, 0);
  const Shape& x = c.shape(0);
  const std::int64_t parts = c.output_count();
  Ints sizes = c.ints(1);
  if (!c.has(1)) {  // equal parts, the last one smaller
    const std::int64_t count = c.attributes().get_int("num_outputs", parts);
    if (count < 1) c.fail("splits into no parts");
    const std::int64_t part = (x[axis] + count - 1) / count;
    for (std::int64_t i = 0; i < parts; ++i) {
      sizes.push_back(std::clamp<std::int64_t>(x[axis] - i * part, 0, part));
    }
  }
  std::int64_t sum = 0;
  bool fits = static_cast<std::int64_t>(sizes.size()) == parts;
  for (const std::int64_t part : sizes) {
    fits = fits && part >= 0 && !__builtin_add_overflow(sum, part, &sum);
  }
  if (!fits || sum != x[axis]) {
    c.fail(fmt::format("splits axis {} of {} into {}", axis, to_string(x), to_string(sizes)));
  }
  for (std::int64_t i = 0; i < parts; ++i) {
    Shape part = x;
    part[axis] = sizes[static_cast<std::size_t>(i)];
    c.set(static_cast<int>(i), c.dtype(0), std::move(part));
  }
}

void slice(RuleContext& c) {
  const auto ranges = slice_ranges(c.shape(0), c.ints(1), c.ints(2), c.ints(3), c.ints(4));
  Shape result;
  for (const SliceRange& range : ranges) result.push_back(range.count);
  c.set(0, c.dtype(0), std::move(result));
}

void expand(RuleContext& c) { c.set(0, c.dtype(0), model::broadcast(c.shape(0), c.ints(1))); }

void tile(RuleContext& c) {
  Shape result = c.shape(0);
  const Ints repeats = c.ints(1);
  if (repeats.size() != result.size()) c.fail("repeats a different number of axes");
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (repeats[i] < 0 || __builtin_mul_overflow(result[i], repeats[i], &result[i])) {
      c.fail(fmt::format("repeats {} by {}", to_string(c.shape(0)), to_string(repeats)));
    }
  }
  c.set(0, c.dtype(0), std::move(result));
}

void pad(RuleContext& c) {
  Shape result = c.shape(0);
  const Ints pads = c.ints(1);
  Ints axes = c.ints(3);
  if (!c.has(3)) {
    axes.resize(result.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (pads.size() != 2 * axes.size()) c.fail("has pads that do not fit its axes");
  const std::string mode = c.attributes().get_string("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") {
    c.fail(fmt::format("has unknown mode '{}'", mode));
  }
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(wrap_axis(axes[k], c.rank(0)));
    const std::int64_t before = pads[k];
    const std::int64_t after = pads[k + axes.size()];
    const std::int64_t input = result[axis];
    if (__builtin_add_overflow(result[axis], before, &result[axis]) ||
        __builtin_add_overflow(result[axis], after, &result[axis]) || result[axis] < 0 ||
        (mode != "constant" && input == 0 && result[axis] > 0)) {
      c.fail(fmt::format("pads axis {} of {} by {} and {}", axis, to_string(c.shape(0)), before,
                         after));
    }
  }
  c.set(0, c.dtype(0), std::move(result));
}

void depth_to_space(RuleContext& c) {
  const std::int64_t block = block_size(c);
  const Shape& x = c.shape(0);
  if (x[1] % (block * block) != 0) c.fail("has channels its block size does not divide");
  c.set(0, c.dtype(0), {x[0], x[1] / (block * block), x[2] * block, x[3] * block});
}

void space_to_depth(RuleContext& c) {
  const std::int64_t block = block_size(c);
  const Shape& x = c.shape(0);
  if (x[2] % block != 0 || x[3] % block != 0)
    c.fail("has a picture its block size does not divide");
  c.set(0, c.dtype(0), {x[0], x[1] * block * block, x[2] / block, x[3] / block});
}

void center_crop_pad(RuleContext& c) {
  Shape result = c.shape(0);
  const Ints sizes = c.ints(1);
  Ints axes = c.attributes().get_ints("axes");
  if (axes.empty()) {
    axes.resize(result.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (axes.size() != sizes.size()) c.fail("has sizes that do not fit its axes");
  for (std::size_t k = 0; k < axes.size(); ++k) {
    result[static_cast<std::size_t>(wrap_axis(axes[k], c.rank(0)))] = sizes[k];
  }
  c.set(0, c.dtype(0), std::move(result));
}

}  // namespace peregrine::model::rules
