// SPDX-License-Identifier: Apache-2.0
// Three planes of float32 are 12 bytes a pixel, in three places; four halves are 8, in one. Who
// makes pictures on the GPU anyway writes those as easily, and the first layer reads them faster.
#include <algorithm>

#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {
namespace {

constexpr std::int64_t kPlanes = 3, kHalves = 4;

bool is_picture(const Value& input) {
  return input.dtype == DType::kFloat32 && input.rank() == 4 && input.shape[1] == kPlanes &&
         !input.is_graph_output() && !input.readers().empty() &&
         std::all_of(input.readers().begin(), input.readers().end(), [&](const Node* reader) {
           return reader->op() == Op::kConv && reader->input(0) == &input;
         });
}

}  // namespace

int read_half_pixels(Graph& graph) {
  int changed = 0;
  for (Value* input : graph.inputs()) {
    if (!is_picture(*input)) continue;
    const Shape planar = input->shape;
    const std::string& name = input->name;
    Value* channels = graph.add_value(name + ":channels", DType::kFloat16,
                                      {planar[0], planar[2], planar[3], kPlanes});
    Value* picture = graph.add_value(name + ":planar", DType::kFloat16, planar);
    graph.replace(input, picture);
    input->dtype = DType::kFloat16;
    input->shape = {planar[0], planar[2], planar[3], kHalves};
    graph.add_node(Op::kSlice, name + ":channels",
                   {input, graph.add_constant(name + ":first", Ints{0}),
                    graph.add_constant(name + ":last", Ints{kPlanes}),
                    graph.add_constant(name + ":axis", Ints{3})},
                   {channels});
    Node* transpose = graph.add_node(Op::kTranspose, name + ":planar", {channels}, {picture}, {});
    transpose->attributes.set("perm", Ints{0, 3, 1, 2});
    ++changed;
  }
  graph.sort();
  return changed;
}

}  // namespace peregrine::compiler
