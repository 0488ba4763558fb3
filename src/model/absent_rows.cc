// SPDX-License-Identifier: Apache-2.0
#include "model/absent_rows.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "model/convert.h"
#include "model/geometry.h"
#include "model/shape_rules.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

constexpr std::string_view kKernels[] = {
#define PEREGRINE_OP(name, min_in, max_in, min_out, max_out, promotion, rule, kernel, cuda) #kernel,
#include "model/ops.def"
#undef PEREGRINE_OP
};

bool is_elementwise(Op op, std::string_view kernel) {
  return kernel == "unary" || kernel == "binary" || kernel == "variadic" || kernel == "power" ||
         kernel == "where" || kernel == "cast" || kernel == "clip" || op == Op::kIdentity;
}

// -1 stays an index of nothing where numbers stay as they are.
bool keeps_numbers(const Node& node) {
  const DType dtype = node.output()->dtype;
  return node.op() == Op::kIdentity ||
         (node.op() == Op::kCast &&
          (is_float(dtype) || dtype == DType::kInt32 || dtype == DType::kInt64));
}

// f(0) = 0.
bool keeps_zeros(Op op) {
  switch (op) {
    case Op::kAbs:
    case Op::kCast:
    case Op::kCeil:
    case Op::kErf:
    case Op::kFloor:
    case Op::kIdentity:
    case Op::kMul:
    case Op::kNeg:
    case Op::kRelu:
    case Op::kRound:
    case Op::kSign:
    case Op::kSqrt:
    case Op::kTanh: return true;
    default: return false;
  }
}

// Inputs that only say how a result is shaped.
bool says_a_shape(Op op, std::size_t input) {
  switch (op) {
    case Op::kReshape:
    case Op::kExpand:
    case Op::kTile:
    case Op::kPad:
    case Op::kSlice: return input >= 1;
    case Op::kConstantOfShape: return input == 0;
    default: return false;
  }
}

}  // namespace

std::string_view AbsentRows::kernel_of(Op op) { return kKernels[static_cast<std::size_t>(op)]; }

std::size_t AbsentRows::axis_of(const Node& node, std::int64_t otherwise) {
  return static_cast<std::size_t>(
      wrap_axis(node.attributes.get_int("axis", otherwise), node.input(0)->rank()));
}

bool AbsentRows::is_zero(const Value* value) {
  if (!value) return true;
  if (!value->is_constant()) return false;
  const Floats numbers = to_floats(convert(*value->constant(), DType::kFloat32));
  return std::all_of(numbers.begin(), numbers.end(), [](float each) { return each == 0; });
}

void AbsentRows::refuse(const Node& node, const char* what) {
  throw Error(
      ErrorCode::kModelUnsupported,
      fmt::format("{}: {}; lengths that depend on the picture's contents are padded to the most "
                  "they can be, and this node would take the padding for real. Export the model "
                  "without it (Peregrine does its own suppression)",
                  describe(node), what));
}

void AbsentRows::bound(Node& node) {
  if (node.op() == Op::kNonZero || node.op() == Op::kNonMaxSuppression) {
    node.attributes.set(kBoundedAttribute, std::int64_t{1});
  }
}

const AbsentRows::Absence* AbsentRows::absence(const Value* value) const {
  const auto found = absent_.find(value);
  return found == absent_.end() ? nullptr : &found->second;
}

// The length of a tensor with absent rows may shape other tensors, which then have as many; it is
// not the number of rows.
void AbsentRows::follow_counts(const Node& node) {
  if ((node.op() == Op::kShape || node.op() == Op::kSize) && absence(node.input(0))) {
    counts_.insert(node.output());
    return;
  }
  bool counted = false, constant = true;
  for (std::size_t i = 0; i < node.inputs().size(); ++i) {
    const Value* input = node.inputs()[i];
    if (!input) continue;
    constant = constant && input->is_constant();
    counted = counted || (counts_.contains(input) && !says_a_shape(node.op(), i));
  }
  if (!counted) return;
  if (!constant) refuse(node, "it computes with the number of rows");
  for (const Value* output : node.outputs()) {
    if (output) counts_.insert(output);
  }
}

AbsentRows::Absence AbsentRows::through_elementwise(const Node& node) const {
  std::optional<Absence> result;
  const std::size_t rank = node.output()->shape.size();
  bool zeros = false, indices = true;
  for (const Value* input : node.inputs()) {
    const Absence* x = absence(input);
    if (!x) continue;
    const std::size_t axis = x->axis + rank - input->shape.size();
    if (result && (result->axis != axis || result->source != x->source)) {
      refuse(node, "it pairs rows of two different selections");
    }
    zeros = zeros || x->fill == Fill::kZeros;
    indices = indices && x->fill == Fill::kIndices;
    result = Absence{x->source, axis, Fill::kAnything};
  }
  if (zeros && keeps_zeros(node.op())) result->fill = Fill::kZeros;
  if (indices && keeps_numbers(node)) result->fill = Fill::kIndices;
  return *result;
}

AbsentRows::Absence AbsentRows::through_concat(const Node& node) const {
  std::optional<Absence> result;
  const std::size_t joined = axis_of(node, 0);
  for (const Value* input : node.inputs()) {
    const Absence* x = absence(input);
    if (!x) continue;
    if (x->axis == joined) refuse(node, "it puts rows behind absent ones");
    if (result && (result->axis != x->axis || result->source != x->source)) {
      refuse(node, "it pairs rows of two different selections");
    }
    if (!result) result = *x;
    if (result->fill != x->fill) result->fill = Fill::kAnything;
  }
  for (const Value* input : node.inputs()) {
    if (absence(input)) continue;
    if (result->fill != Fill::kZeros || !is_zero(input)) result->fill = Fill::kAnything;
  }
  return *result;
}

// Rows by an index that may be absent.
AbsentRows::Absence AbsentRows::gathered(Node& node) const {
  const Absence* data = absence(node.input(0));
  const Absence* index = absence(node.input(1));
  const bool tuples = node.op() == Op::kGatherND;
  if (tuples && node.attributes.get_int("batch_dims", 0) != 0)
    refuse(node, "it gathers in batches");
  const std::size_t first = tuples ? 0 : axis_of(node, 0);
  const std::size_t last =
      tuples ? static_cast<std::size_t>(node.input(1)->shape.back()) : first + 1;
  if (!index) {  // known rows of a tensor with absent ones, along another axis
    if (data->axis >= first && data->axis < last) refuse(node, "it picks rows that may be absent");
    const std::size_t more = tuples ? node.input(1)->shape.size() - 1 : node.input(1)->shape.size();
    Absence result = *data;
    if (data->axis >= last) result.axis = data->axis - last + first + more;
    return result;
  }
  if (index->fill != Fill::kIndices) refuse(node, "its indices are computed from absent ones");
  if (data && (data->axis < first || data->axis >= last)) {
    refuse(node, "it picks rows within rows that may be absent");
  }
  if (tuples && index->axis + 1 == node.input(1)->shape.size()) {
    refuse(node, "its index tuples may be cut short");
  }
  node.attributes.set(kAbsentRowsAttribute, std::int64_t{1});
  return {index->source, first + index->axis, Fill::kZeros};
}

// Boxes that were selected before: the suppression looks at what marks them.
void AbsentRows::follow_suppression(Node& node) const {
  const Absence* boxes = absence(node.input(0));
  const Absence* scores = absence(node.input(1));
  if (!boxes && !scores) return;
  if (!boxes || !scores || boxes->axis != 1 || scores->axis != 2 ||
      boxes->source != scores->source) {
    refuse(node, "its boxes and scores are of different selections");
  }
  node.set_input(5, boxes->source);
}

void AbsentRows::follow(Node& node) {
  follow_counts(node);
  const bool met = std::any_of(node.inputs().begin(), node.inputs().end(),
                               [&](const Value* input) { return absence(input) != nullptr; });
  if (node.attributes.get_int(kBoundedAttribute, 0) != 0) {
    const bool suppression = node.op() == Op::kNonMaxSuppression;
    if (suppression) follow_suppression(node);
    if (!suppression && met && absence(node.input(0))->fill != Fill::kZeros) {
      refuse(node, "it looks for what is not zero among absent rows");
    }
    absent_[node.output()] = {node.output(), suppression ? 0U : 1U, Fill::kIndices};
    return;
  }
  if (!met || node.op() == Op::kShape || node.op() == Op::kSize) return;
  Absence result;
  if (is_elementwise(node.op(), kernel_of(node.op()))) {
    result = through_elementwise(node);
  } else if (node.op() == Op::kConcat) {
    result = through_concat(node);
  } else if (node.op() == Op::kGather || node.op() == Op::kGatherND) {
    result = gathered(node);
  } else if (node.op() == Op::kScatterND || node.op() == Op::kScatterElements) {
    // Written into a tensor of a length of its own, as an exporter does with a padded result.
    const Absence* updates = absence(node.input(2));
    if (absence(node.input(0)) || absence(node.input(1)) || updates->fill != Fill::kZeros) {
      refuse(node, "it writes absent rows");
    }
    return;
  } else {
    if (!absence(node.input(0))) refuse(node, "its rows may be absent");
    result = through(node, *absence(node.input(0)));
  }
  for (const Value* output : node.outputs()) {
    if (output) absent_[output] = result;
  }
}

void AbsentRows::finish(const Graph& graph) const {
  for (std::size_t k = 0; k < graph.outputs().size(); ++k) {
    if (!counts_.contains(graph.outputs()[k])) continue;
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("output '{}' says how many rows a selection has, which is not known "
                            "where lengths are fixed; count the rows that are not absent instead",
                            graph.output_names()[k]));
  }
}

}  // namespace peregrine::model
