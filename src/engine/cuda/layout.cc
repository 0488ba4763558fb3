// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/layout.h"

#include <algorithm>

#include "compiler/rewrite.h"
#include "compiler/strided.h"
#include "engine/cuda/strided_view.h"
#include "model/attention.h"
#include "model/convert.h"
#include "model/geometry.h"

namespace peregrine::cuda {
namespace {

using compiler::channels_last;
using compiler::packed_like;
using compiler::permuted;
using compiler::reshape_strides;
using compiler::same_strides;
using model::Graph;
using model::Ints;
using model::Node;
using model::Op;
using model::Value;

bool is_float_value(const Value* value) { return model::is_float(value->dtype); }

// What fills the tensor cores. A convolution to a single channel without bias (the fixed one that
// sums YOLO's box distribution) is arithmetic on results.
bool is_heavy(const Node& node) {
  switch (node.op()) {
    case Op::kConv: return node.output()->shape[1] > 1 || node.has_input(2);
    case Op::kConvTranspose:
    case Op::kGemm:
    case Op::kMatMul:
    case Op::kEinsum:
    case Op::kAttention: return true;
    default: return false;
  }
}

bool makes_pictures(Op op) {
  switch (op) {
    case Op::kConv:
    case Op::kConvTranspose:
    case Op::kMaxPool:
    case Op::kAveragePool:
    case Op::kLpPool:
    case Op::kGlobalAveragePool:
    case Op::kGlobalMaxPool:
    case Op::kGlobalLpPool:
    case Op::kResize:
    case Op::kBatchNormalization:
    case Op::kInstanceNormalization:
    case Op::kGroupNormalization:
    case Op::kLRN:
    case Op::kGridSample:
    case Op::kDepthToSpace:
    case Op::kSpaceToDepth: return true;
    default: return false;
  }
}

const Value* largest_input(const Node& node) {
  const Value* largest = nullptr;
  for (const Value* input : node.inputs()) {
    if (!input || input->is_constant() || input->rank() != node.output()->rank()) continue;
    if (!largest || element_count(input->shape) > element_count(largest->shape)) largest = input;
  }
  return largest;
}

// Where attention writes best, and what projections read: a token's heads side by side.
Shape attention_strides(const Node& node) {
  const Shape& y = node.output()->shape;
  const Ints layouts = node.attributes.get_ints("layouts");
  const auto layout = layouts.size() == 4 ? static_cast<model::AttentionLayout>(layouts[3])
                      : y.size() == 3     ? model::AttentionLayout::kTokenMerged
                                          : model::AttentionLayout::kHeadTokenDepth;
  switch (layout) {
    case model::AttentionLayout::kHeadTokenDepth: return {y[1] * y[2] * y[3], y[3], y[1] * y[3], 1};
    case model::AttentionLayout::kHeadDepthToken: return {y[1] * y[2] * y[3], y[2], 1, y[1] * y[2]};
    default: return packed_strides(y);
  }
}

bool feeds_pictures(const Value* value) {
  return value->rank() == 4 &&
         std::any_of(value->readers().begin(), value->readers().end(),
                     [](const Node* reader) { return makes_pictures(reader->op()); });
}

// Whether the kernels of a node write such strides themselves; one that does not costs a copy.
bool writes(const Node& node, const Shape& strides, DType dtype) {
  const Shape& shape = node.output()->shape;
  switch (node.op()) {
    case Op::kConv:
      if (shape.size() != 4) return false;
      // Planes too where they are results: halves would leave in pieces of 16 bytes.
      return dtype == DType::kFloat32 ? compiler::plane_pixel_stride(shape, strides).has_value()
                                      : compiler::image_pixel_stride(shape, strides).has_value();
    case Op::kMaxPool:
    case Op::kAveragePool: return shape.size() == 4 && compiler::pixel_stride(shape, strides);
    case Op::kMatMul:
    case Op::kGemm:
    case Op::kLayerNormalization: return compiler::row_stride(shape, strides).has_value();
    case Op::kAttention: return same_strides(shape, strides, attention_strides(node));
    default: return true;
  }
}

}  // namespace

Layout::Layout(const Graph& graph, Precision precision) {
  choose_dtypes(graph, precision);
  if (precision == Precision::kFloat16) choose_sources(graph);
  prefer_strides(graph);
  place_in_readers(graph);
  resolve(graph);
}

DType Layout::dtype(const Value* value) const {
  const auto found = dtypes_.find(value);
  return found == dtypes_.end() ? value->dtype : found->second;
}

const std::vector<PictureSource>& Layout::sources(const Node* conv) const {
  static const std::vector<PictureSource> kNone;
  const auto found = sources_.find(conv);
  return found == sources_.end() ? kNone : found->second;
}

std::optional<int> Layout::output_of(const Value* root) const {
  const auto found = output_roots_.find(root);
  return found == output_roots_.end() ? std::nullopt : std::optional(found->second);
}

bool Layout::is_view(const Node* node) const {
  const Value* x = node->input(0);
  if (!x || !storage_.contains(x)) return false;
  for (std::size_t i = 0; i < node->outputs().size(); ++i) {
    const Value* y = node->outputs()[i];
    if (!y) continue;
    const auto view = strided_view(*node, i, storage(x).strides);
    const Storage& place = storage(y);
    if (!view || place.root != storage(x).root ||
        !same_strides(y->shape, place.strides, view->strides) ||
        place.offset != storage(x).offset + view->offset) {
      return false;
    }
  }
  return true;
}

void Layout::choose_dtypes(const Graph& graph, Precision precision) {
  const std::vector<Node*> nodes = graph.nodes();
  std::set<const Value*> after, before;  // a heavy op behind, ahead
  for (const Node* node : nodes) {
    bool found = is_heavy(*node);
    for (const Value* input : node->inputs()) found = found || after.contains(input);
    for (const Value* output : node->outputs()) {
      if (found && output) after.insert(output);
    }
  }
  for (auto at = nodes.rbegin(); at != nodes.rend(); ++at) {
    bool found = is_heavy(**at);
    for (const Value* output : (*at)->outputs()) found = found || before.contains(output);
    for (const Value* input : (*at)->inputs()) {
      if (found && input) before.insert(input);
    }
  }
  for (const Value* value : graph.values()) {
    if (!value->producer() || !is_float_value(value)) continue;
    // Left by "to float32" only as casts to what the model's outputs are: they write that at once.
    if (value->dtype == DType::kFloat64 || value->dtype == DType::kBFloat16) continue;
    const bool narrow =
        precision == Precision::kFloat16 && after.contains(value) && before.contains(value);
    dtypes_[value] = narrow ? DType::kFloat16 : DType::kFloat32;
  }
  // A view has its input's dtype: the tail starts behind it.
  for (const Node* node : nodes) {
    const Value* x = node->input(0);
    if (!x || !is_float_value(x)) continue;
    for (std::size_t i = 0; i < node->outputs().size(); ++i) {
      const Value* y = node->outputs()[i];
      if (y && strided_view(*node, i, packed_strides(x->shape))) dtypes_[y] = dtype(x);
    }
  }
}

// Where the tile kernel runs: FP16 all through.
void Layout::choose_sources(const Graph& graph) {
  for (const Node* conv : graph.nodes(Op::kConv)) {
    PictureSources found = picture_sources(*conv);
    const auto half = [&](const PictureSource& each) {
      return dtype(each.value) == DType::kFloat16;
    };
    if (found.pictures.empty() || dtype(conv->input(0)) != DType::kFloat16 ||
        !std::all_of(found.pictures.begin(), found.pictures.end(), half)) {
      continue;
    }
    read_through_.insert(found.replaced.begin(), found.replaced.end());
    sources_[conv] = std::move(found.pictures);
  }
}

void Layout::prefer_strides(const Graph& graph) {
  for (const Value* value : graph.values()) {
    if (!value->producer()) preferred_[value] = packed_strides(value->shape);
  }
  for (const Node* node : graph.nodes()) {
    for (std::size_t i = 0; i < node->outputs().size(); ++i) {
      const Value* y = node->outputs()[i];
      if (!y) continue;
      const Value* x = node->input(0);
      if (const auto view = x ? strided_view(*node, i, preferred_.at(x)) : std::nullopt) {
        preferred_[y] = view->strides;
        continue;
      }
      const Value* like = largest_input(*node);
      if (makes_pictures(node->op()) && y->rank() == 4) {
        preferred_[y] = channels_last(y->shape);
      } else if (node->op() == Op::kAttention && i == 0) {
        preferred_[y] = attention_strides(*node);
      } else if (like && node->op() != Op::kMatMul && node->op() != Op::kGemm &&
                 node->op() != Op::kReshape) {
        preferred_[y] = packed_like(y->shape, like->shape, preferred_.at(like));
      } else {
        preferred_[y] = packed_strides(y->shape);
      }
    }
  }
}

// Puts `value` where a reader wants it, through the views that lead there. False: it has a place
// already, or cannot go.
bool Layout::place(const Value* value, const Storage& where, DType wanted) {
  const Node* node = value->producer();
  if (!node || placed_.contains(value) || dtype(value) != wanted) return false;
  const Value* x = node->input(0);
  switch (node->op()) {
    case Op::kIdentity:
    case Op::kReshape:
    case Op::kFlatten:
    case Op::kSqueeze:
    case Op::kUnsqueeze: {
      const auto strides = reshape_strides(value->shape, where.strides, x->shape);
      if (!strides || !place(x, {where.root, where.offset, *strides}, wanted)) return false;
      break;
    }
    case Op::kTranspose: {
      const Ints back = compiler::inverse_permutation(compiler::transpose_order(*node));
      const Shape strides = permuted(where.strides, back);
      if (!place(x, {where.root, where.offset, strides}, wanted)) return false;
      break;
    }
    case Op::kExpand:
    case Op::kSplit:
    case Op::kSlice:
    case Op::kDropout: return false;
    default:
      if (x && strided_view(*node, 0, packed_strides(x->shape)))
        return false;  // Gather of one position
      if (node->outputs().size() != 1 || !writes(*node, where.strides, wanted)) {
        return false;
      }
  }
  placed_[value] = where;
  return true;
}

void Layout::place_in_readers(const Graph& graph) {
  for (std::size_t k = 0; k < graph.outputs().size(); ++k) {
    const Value* output = graph.outputs()[k];
    if (place(output, {output, 0, packed_strides(output->shape)}, output->dtype)) {
      output_roots_[output] = static_cast<int>(k);
    }
  }
  // Readers first: a Concat inside a Concat finds its own place before its parts take theirs.
  const std::vector<Node*> concats = graph.nodes(Op::kConcat);
  for (auto at = concats.rbegin(); at != concats.rend(); ++at) {
    const Node& concat = **at;
    if (is_read_through(&concat)) continue;
    const Value* y = concat.output();
    if (!placed_.contains(y)) placed_[y] = {y, 0, preferred_.at(y)};
    const Storage whole = placed_.at(y);
    const auto axis =
        static_cast<std::size_t>(model::wrap_axis(concat.attributes.get_int("axis", 0), y->rank()));
    std::int64_t offset = whole.offset;
    for (std::size_t i = 0; i < concat.inputs().size();) {
      const Value* part = concat.inputs()[i];
      const std::optional<Cut> cut = whole_cut(concat, i, axis);
      const Storage where{whole.root, offset, whole.strides};
      if (cut && place(cut->source, where, dtype(y))) {
        part = cut->source;
        i += cut->parts;
      } else {
        place(part, where, dtype(y));
        ++i;
      }
      offset += part->shape[axis] * whole.strides[axis];
    }
  }
}

void Layout::resolve(const Graph& graph) {
  for (const Value* value : graph.values()) {
    if (!value->producer()) storage_[value] = {value, 0, packed_strides(value->shape)};
  }
  for (const Node* node : graph.nodes()) {
    for (std::size_t i = 0; i < node->outputs().size(); ++i) {
      const Value* y = node->outputs()[i];
      if (!y) continue;
      if (const auto placed = placed_.find(y); placed != placed_.end()) {
        storage_[y] = placed->second;
        continue;
      }
      const Value* x = node->input(0);
      const auto view = x ? strided_view(*node, i, storage(x).strides) : std::nullopt;
      if (view && dtype(x) == dtype(y)) {
        storage_[y] = {storage(x).root, storage(x).offset + view->offset, view->strides};
      } else {
        // What was meant as a view but cannot be one starts anew, row-major or as its readers want.
        const bool meant = x && strided_view(*node, i, packed_strides(x->shape));
        const Shape anew = feeds_pictures(y) ? channels_last(y->shape) : packed_strides(y->shape);
        storage_[y] = {y, 0, meant ? anew : preferred_.at(y)};
      }
    }
  }
}

}  // namespace peregrine::cuda
