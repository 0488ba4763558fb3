// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "compiler/compile_graph.h"
#include "compiler/passes.h"
#include "model/shape_inference.h"

namespace peregrine::testing {

/// A graph as the engine lowers it, at the file's own batch; without `passes`, node by node as it
/// stands in the file.
inline model::Graph compiled(model::Graph graph, bool passes) {
  model::infer(graph, {.batch = 0, .bound_lengths = true});
  if (passes) {
    compiler::compile_graph(graph);
  } else {
    compiler::to_float32(graph);
  }
  return graph;
}

}  // namespace peregrine::testing
