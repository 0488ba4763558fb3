// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "model/graph.h"

namespace peregrine::testing {

/// Infers `graph` at `batch`, applies `pass` to a clone, and expects that the reference interpreter
/// gives the same answers for seeded noise within 1e-5 of each output's largest value. Returns the
/// rewritten graph.
model::Graph expect_unchanged(const model::Graph& graph,
                              const std::function<void(model::Graph&)>& pass, int batch = 2,
                              float tolerance = 1e-5F);

/// How many nodes of an op a graph has.
int count(const model::Graph& graph, model::Op op);

}  // namespace peregrine::testing
