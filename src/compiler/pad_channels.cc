// SPDX-License-Identifier: Apache-2.0
// Tensor cores read channels in eights. A picture of 51 channels (YOLO-pose: 17 keypoints of three
// numbers) between convolutions would be packed into 56 before each reader; here its producer makes
// 56 at once. What the five more hold does not matter: no weight of a reader touches them.
#include <algorithm>

#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {
namespace {

constexpr std::int64_t kChunk = 8;

std::int64_t padded(std::int64_t channels) { return (channels + kChunk - 1) / kChunk * kChunk; }

bool is_plain_conv(const Node& node) {
  return node.op() == Op::kConv && node.attributes.get_int("group", 1) == 1 &&
         node.input(1)->is_constant() && (!node.has_input(2) || node.input(2)->is_constant());
}

// Only convolutions see the value, and none of them for anything but its main input.
bool only_convs_read(const Value& value) {
  return !value.is_graph_output() && !value.readers().empty() &&
         std::all_of(value.readers().begin(), value.readers().end(), [&](const Node* reader) {
           return is_plain_conv(*reader) && reader->input(0) == &value &&
                  std::count(reader->inputs().begin(), reader->inputs().end(), &value) == 1;
         });
}

// Tensor `of` with zeros behind its entries along `axis`.
Value* with_zeros(Graph& graph, const Value* of, std::size_t axis, std::int64_t extent) {
  const std::vector<float> values = floats_of(of);
  Shape shape = of->shape;
  const std::int64_t inner = element_count(std::span(shape).subspan(axis + 1));
  const std::int64_t row = shape[axis] * inner;
  const std::int64_t rows = element_count(std::span(shape).first(axis));
  shape[axis] = extent;
  std::vector<float> result(static_cast<std::size_t>(element_count(shape)), 0.0F);
  for (std::int64_t i = 0; i < rows; ++i) {
    std::copy_n(values.begin() + i * row, row, result.begin() + i * extent * inner);
  }
  return add_floats(graph, of->name + "_padded", result, shape);
}

}  // namespace

int pad_channels(Graph& graph) {
  int changed = 0;
  for (Node* conv : graph.nodes(Op::kConv)) {
    Value* y = conv->output();
    const std::int64_t channels = y->shape[1], wanted = padded(channels);
    // One channel (a mask, a gate) is read by plain arithmetic, not by tensor cores.
    if (channels == wanted || channels == 1 || !is_plain_conv(*conv) ||
        conv->epilogue.residual != Epilogue::Residual::kNone || !only_convs_read(*y)) {
      continue;
    }
    // A node of its own: the ONNX value of this name has fewer channels.
    Node* wide =
        graph.add_node(Op::kConv, conv->name(),
                       {conv->input(0), with_zeros(graph, conv->input(1), 0, wanted)}, {conv});
    if (conv->has_input(2)) wide->set_input(2, with_zeros(graph, conv->input(2), 0, wanted));
    wide->attributes = conv->attributes;
    wide->epilogue = conv->epilogue;
    wide->output()->shape = y->shape;
    wide->output()->shape[1] = wanted;
    wide->output()->has_shape = true;
    for (Node* reader : std::vector<Node*>(y->readers())) {
      reader->set_input(1, with_zeros(graph, reader->input(1), 1, wanted));
    }
    graph.replace(y, wide->output());
    graph.erase(conv);
    ++changed;
  }
  graph.sort();
  return changed;
}

}  // namespace peregrine::compiler
