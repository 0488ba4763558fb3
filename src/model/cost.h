// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "model/graph.h"

namespace peregrine::model {

/// What a node costs whatever computes it; shapes must be known (see `infer`).
struct NodeCost {
  std::int64_t flops = 0;         ///< a multiply-add counts as 2; saturates at 2^62
  std::int64_t weight_bytes = 0;  ///< constants read
  std::int64_t input_bytes = 0;   ///< activations read
  std::int64_t output_bytes = 0;  ///< activations written
};
NodeCost node_cost(const Node& node);

struct GraphCost {
  std::int64_t parameters = 0;        ///< elements of floating-point constants
  std::int64_t flops = 0;             ///< of the whole batch
  std::int64_t activation_bytes = 0;  ///< sum of all nodes' outputs, of the whole batch
  std::map<std::string, int> ops;     ///< how many nodes of each op
};
GraphCost graph_cost(const Graph& graph);

}  // namespace peregrine::model
