// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/cuda/plan_builder.h"
#include "model/graph.h"

namespace peregrine::testing {

/// Lowers an inferred graph and does its steps on the host: pointwise chains, copies and indexing
/// thread by thread with the kernels' index arithmetic and formulas; steps on rows, and heavy ones
/// (heavy_on_host.h), in plain loops over the kernels' operands. Throws std::runtime_error naming any
/// other kernel. `wide`: chains take groups of elements where the launcher would.
std::vector<Tensor> run_on_host(const model::Graph& graph, cuda::Precision precision,
                                std::span<const Tensor> inputs, bool wide);

}  // namespace peregrine::testing
