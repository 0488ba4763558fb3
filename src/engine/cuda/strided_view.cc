// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/strided_view.h"

#include <algorithm>

#include "compiler/rewrite.h"
#include "compiler/strided.h"
#include "model/convert.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::ints_of;
using compiler::permuted;
using compiler::reshape_strides;
using model::Ints;
using model::Node;
using model::Op;
using model::Value;

std::optional<StridedView> strided_view(const Node& node, std::size_t output,
                                        const Shape& input_strides) {
  const Value* x = node.input(0);
  const Value* y = node.outputs()[output];
  if (x->dtype != y->dtype) return std::nullopt;
  const auto wrap = [&](std::int64_t axis) {
    return static_cast<std::size_t>(model::wrap_axis(axis, x->rank()));
  };
  switch (node.op()) {
    case Op::kIdentity:
    case Op::kDropout:
      return output == 0 ? std::optional(StridedView{0, input_strides}) : std::nullopt;
    case Op::kReshape:
    case Op::kFlatten:
    case Op::kSqueeze:
    case Op::kUnsqueeze: {
      const auto strides = reshape_strides(x->shape, input_strides, y->shape);
      if (!strides) return std::nullopt;
      return StridedView{0, *strides};
    }
    case Op::kTranspose:
      return StridedView{0, permuted(input_strides, compiler::transpose_order(node))};
    case Op::kExpand: {
      Shape strides(y->shape.size(), 0);
      const std::size_t lead = y->shape.size() - x->shape.size();
      for (std::size_t i = 0; i < x->shape.size(); ++i) {
        if (x->shape[i] != 1) strides[lead + i] = input_strides[i];
      }
      return StridedView{0, strides};
    }
    case Op::kSplit: {
      const std::size_t axis = wrap(node.attributes.get_int("axis", 0));
      std::int64_t before = 0;
      for (std::size_t i = 0; i < output; ++i) before += node.outputs()[i]->shape[axis];
      return StridedView{before * input_strides[axis], input_strides};
    }
    case Op::kSlice: {
      for (int i = 1; i < 5; ++i) {
        if (node.has_input(i) && !node.input(i)->is_constant()) return std::nullopt;
      }
      const auto ints = [&](int i) { return node.has_input(i) ? ints_of(node.input(i)) : Ints(); };
      const auto ranges = model::slice_ranges(x->shape, ints(1), ints(2), ints(3), ints(4));
      StridedView view{0, input_strides};
      for (std::size_t i = 0; i < ranges.size(); ++i) {
        view.offset += ranges[i].start * input_strides[i];
        view.strides[i] *= ranges[i].step;
      }
      return view;
    }
    case Op::kGather: {  // one position along an axis: a slice without the axis
      const Value* indices = node.input(1);
      if (!indices->is_constant() || indices->rank() != 0) return std::nullopt;
      const std::size_t axis = wrap(node.attributes.get_int("axis", 0));
      std::int64_t at = ints_of(indices).front();
      if (at < 0) at += x->shape[axis];
      StridedView view{at * input_strides[axis], input_strides};
      view.strides.erase(view.strides.begin() + static_cast<std::ptrdiff_t>(axis));
      return view;
    }
    default: return std::nullopt;
  }
}

namespace {

bool is_cutter(const Node* node) {
  return node && (node->op() == Op::kSplit || node->op() == Op::kSlice);
}

}  // namespace

std::optional<Cut> whole_cut(const Node& concat, std::size_t first, std::size_t axis) {
  const auto& inputs = concat.inputs();
  const Node* cutter = inputs[first]->producer();
  if (!is_cutter(cutter)) return std::nullopt;
  Cut cut{cutter->input(0), 0};
  if (cut.source->rank() != concat.output()->rank()) return std::nullopt;
  const Shape packed = packed_strides(cut.source->shape);
  std::int64_t position = 0;
  while (position < cut.source->shape[axis]) {
    if (first + cut.parts == inputs.size()) return std::nullopt;
    const Value* part = inputs[first + cut.parts++];
    const Node* node = part->producer();
    if (!is_cutter(node) || node->input(0) != cut.source) return std::nullopt;
    const auto at = std::find(node->outputs().begin(), node->outputs().end(), part);
    const auto view =
        strided_view(*node, static_cast<std::size_t>(at - node->outputs().begin()), packed);
    Shape expected = cut.source->shape;
    expected[axis] = part->shape[axis];
    if (!view || view->strides != packed || view->offset != position * packed[axis] ||
        part->shape != expected) {
      return std::nullopt;
    }
    position += part->shape[axis];
  }
  return cut;
}

}  // namespace peregrine::cuda
