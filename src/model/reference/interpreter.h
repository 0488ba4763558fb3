// SPDX-License-Identifier: Apache-2.0
// Runs a graph node by node in plain loops: what each op means, and the judge of the passes' tests
// and of the GPU engine. Never used for speed. Floats of 16 bits are computed in float32 and
// rounded to their dtype after each node; integers are exact.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/graph.h"

namespace peregrine::model {

/// The outputs of one node; entries follow the node's outputs (empty where it has none). `inputs`
/// follow the node's inputs, null where absent. Throws `Error(kModelInvalid)` or
/// `Error(kModelUnsupported)` naming the node.
std::vector<Tensor> run_node(const Node& node, std::span<const Tensor* const> inputs);

/// Sees each value after its node ran.
using Observer = std::function<void(const Value&, const Tensor&)>;

/// Runs the whole graph; `inputs` follow `graph.inputs()`, any batch, on the host. The graph need
/// not be inferred. Memory: values are freed after their last reader. Throws like `run_node`, and
/// `Error(kInvalidShape)` when an input does not fit.
std::vector<Tensor> run_graph(const Graph& graph, std::span<const Tensor> inputs,
                              const Observer& observe = nullptr);

}  // namespace peregrine::model
