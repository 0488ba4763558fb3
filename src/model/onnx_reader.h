// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "model/graph.h"

namespace peregrine::model {

/// Reads an ONNX file (opset 11 to 24) into a graph in the form of opset 24, nodes in topological
/// order, weights as constants in the file's dtype. Nothing is executed or inferred: shapes are
/// those the file states for its inputs. Nothing but the file and its external data, which must lie
/// in the same folder, is opened; every size is checked before memory is taken.
///
/// Throws `Error(kModelInvalid)` for what is missing, no ONNX, truncated, inconsistent (duplicate
/// names, cycles, dangling inputs, sizes that contradict the data) or refused for safety;
/// `Error(kModelUnsupported)` for an op, dtype or opset that is not known. The message names file
/// and node.
Graph read_onnx(const std::string& path);
/// The same from memory; `path` stands in messages, and its folder holds the external data.
Graph read_onnx(std::span<const char> bytes, const std::string& path);

}  // namespace peregrine::model
