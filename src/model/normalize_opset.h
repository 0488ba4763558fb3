// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/graph.h"

namespace peregrine::model {

/// Rewrites nodes of opsets 11 to 23 into the form of opset 24, so that nothing after the reader
/// asks for the opset: attributes that became inputs, changed defaults, renamed modes.
/// Throws `Error(kModelUnsupported)` for training forms of an op.
void normalize_opset(Graph& graph);

}  // namespace peregrine::model
