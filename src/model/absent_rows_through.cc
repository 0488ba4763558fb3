// SPDX-License-Identifier: Apache-2.0
// Absent rows through nodes that move rows as a whole, or work within each.
#include <algorithm>
#include <optional>

#include "model/absent_rows.h"
#include "model/geometry.h"
#include "model/shape_rules.h"

namespace peregrine::model {
namespace {

// Where `axis` of a row-major tensor is an axis of the reshaped one too.
std::optional<std::size_t> reshaped_axis(const Shape& from, std::size_t axis, const Shape& to) {
  const std::int64_t before = element_count(std::span(from).first(axis));
  std::int64_t product = 1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (product == before && to[i] == from[axis]) return i;
    product *= to[i];
  }
  return std::nullopt;
}

std::optional<Ints> constant_ints(const Node& node, int input) {
  const Value* value = node.input(input);
  if (!value) return Ints();
  if (!value->is_constant()) return std::nullopt;
  return to_ints(*value->constant());
}

}  // namespace

// Zeros behind rows that end in zeros.
AbsentRows::Absence AbsentRows::padded(const Node& node, const Absence& x) {
  const auto pads = constant_ints(node, 1), axes = constant_ints(node, 3);
  if (!pads || !axes) refuse(node, "its padding is not known");
  for (std::size_t i = 0; i < pads->size() / 2; ++i) {
    const auto axis =
        static_cast<std::size_t>(axes->empty() ? static_cast<std::int64_t>(i)
                                               : wrap_axis((*axes)[i], node.input(0)->rank()));
    if (axis == x.axis && (*pads)[i] != 0) refuse(node, "it puts rows in front");
  }
  if (x.fill != Fill::kZeros || !is_zero(node.input(2)) ||
      node.attributes.get_string("mode", "constant") != "constant") {
    refuse(node, "it puts rows behind absent ones that are not zero");
  }
  return x;
}

AbsentRows::Absence AbsentRows::reduced(const Node& node, const Absence& x) {
  const auto axes = constant_ints(node, 1);
  if (!axes || axes->empty()) refuse(node, "it sums over rows that may be absent");
  Absence result{x.source, x.axis, Fill::kAnything};
  for (const std::int64_t each : *axes) {
    const auto axis = static_cast<std::size_t>(wrap_axis(each, node.input(0)->rank()));
    if (axis == x.axis) refuse(node, "it sums over rows that may be absent");
    if (node.attributes.get_int("keepdims", 1) == 0 && axis < x.axis) --result.axis;
  }
  return result;
}

AbsentRows::Absence AbsentRows::through(const Node& node, const Absence& x) {
  const Shape& from = node.input(0)->shape;
  Absence result = x;
  switch (node.op()) {
    case Op::kReshape:
    case Op::kFlatten:
    case Op::kSqueeze:
    case Op::kUnsqueeze: {
      const auto axis = reshaped_axis(from, x.axis, node.output()->shape);
      if (!axis) refuse(node, "it cuts rows up");
      result.axis = *axis;
      return result;
    }
    case Op::kTranspose: {
      Ints order = node.attributes.get_ints("perm");
      if (order.empty()) {
        for (std::size_t i = from.size(); i-- > 0;) order.push_back(static_cast<std::int64_t>(i));
      }
      const auto at = std::find(order.begin(), order.end(), static_cast<std::int64_t>(x.axis));
      result.axis = static_cast<std::size_t>(at - order.begin());
      return result;
    }
    case Op::kExpand: {
      const Shape& to = node.output()->shape;
      result.axis = x.axis + to.size() - from.size();
      if (to[result.axis] != from[x.axis]) refuse(node, "it repeats a row that may be absent");
      return result;
    }
    case Op::kSplit:
      if (axis_of(node, 0) == x.axis) refuse(node, "it splits rows that may be absent");
      return result;
    case Op::kSlice: {
      const auto starts = constant_ints(node, 1), ends = constant_ints(node, 2),
                 axes = constant_ints(node, 3), steps = constant_ints(node, 4);
      if (!starts || !ends || !axes || !steps) refuse(node, "its ranges are not known");
      const SliceRange range = slice_ranges(from, *starts, *ends, *axes, *steps)[x.axis];
      if (range.start != 0 || range.step != 1) refuse(node, "it leaves out the first rows");
      return result;
    }
    case Op::kPad: return padded(node, x);
    case Op::kArgMax:
    case Op::kArgMin: {
      const std::size_t axis = axis_of(node, 0);
      if (axis == x.axis) refuse(node, "it looks for a row among absent ones");
      if (node.attributes.get_int("keepdims", 1) == 0 && axis < x.axis) --result.axis;
      result.fill = Fill::kAnything;
      return result;
    }
    default: break;
  }
  if (kernel_of(node.op()) == "reduce") return reduced(node, x);
  if (kernel_of(node.op()) == "softmax") {
    if (axis_of(node, -1) == x.axis) refuse(node, "it sums over rows that may be absent");
    result.fill = Fill::kAnything;
    return result;
  }
  refuse(node, "it has no way to leave out absent rows");
}

}  // namespace peregrine::model
