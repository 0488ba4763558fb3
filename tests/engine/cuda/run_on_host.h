// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/cuda/plan_builder.h"
#include "model/graph.h"

namespace peregrine::testing {

/// Lowers an inferred graph and does its steps on the host: pointwise chains thread by thread with
/// the kernel's index arithmetic and formulas, copies and steps on rows with the kernel's operands.
/// Throws std::runtime_error naming any other kernel. `wide`: chains take groups of elements where
/// the launcher would.
std::vector<Tensor> run_on_host(const model::Graph& graph, cuda::Precision precision,
                                std::span<const Tensor> inputs, bool wide);

}  // namespace peregrine::testing
