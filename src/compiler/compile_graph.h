// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/graph.h"

namespace peregrine::compiler {

struct CompileOptions {
  /// Q, K, V projections in one product; wants an engine that reads strided operands.
  bool merge_projections = true;
  bool merge_convs = true;
  bool attention = true;
};

struct PassReport {
  std::string name;  ///< such as "fuse activation"
  int changed = 0;   ///< places
  int nodes = 0;     ///< left after it
};

/// Rewrites a graph whose shapes are known (model::infer) into few large nodes. Answers stay within
/// rounding. The report follows the order of the passes; `progress`, when given, hears each as it
/// ends.
std::vector<PassReport> compile_graph(
    model::Graph& graph, const CompileOptions& options = {},
    const std::function<void(const PassReport&)>& progress = nullptr);

}  // namespace peregrine::compiler
