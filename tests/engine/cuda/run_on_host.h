// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/cuda/plan_builder.h"
#include "model/graph.h"

namespace peregrine::testing {

/// Lowers an inferred graph and does on the host what its copies and pointwise chains do on the
/// device, thread by thread with the same index arithmetic and formulas; heavy steps in plain loops
/// (heavy_on_host.h). Throws std::runtime_error naming any other kernel. `wide`: chains take groups
/// of elements where the launcher would.
std::vector<Tensor> run_on_host(const model::Graph& graph, cuda::Precision precision,
                                std::span<const Tensor> inputs, bool wide);

}  // namespace peregrine::testing
