// SPDX-License-Identifier: Apache-2.0
// ONNX's own node tests: what an op means is theirs to say.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/graph.h"
#include "peregrine/tensor.h"

namespace peregrine::testing {

struct OnnxNodeCase {
  std::filesystem::path folder;
  std::string op;  ///< of its first node

  std::string name() const { return folder.filename().string(); }
};

/// One data set of a case: tensors in the order of the graph's inputs and outputs.
struct OnnxNodeData {
  std::vector<Tensor> inputs, outputs;
};

/// The cases under onnx_node_tests() by name, but for those whose data contradict the
/// specification.
std::vector<OnnxNodeCase> onnx_node_cases();
/// The same of another folder in that layout: whole models, say.
std::vector<OnnxNodeCase> onnx_cases_in(const std::filesystem::path& folder);

/// Throws what read_onnx throws.
model::Graph read_graph(const OnnxNodeCase& each);

/// Throws `Error(kModelUnsupported)` where one holds what is no tensor.
std::vector<OnnxNodeData> read_data(const OnnxNodeCase& each);

enum class Outcome { kPass, kUnsupported, kWrong };

struct OnnxNodeResult {
  Outcome outcome = Outcome::kPass;
  std::string detail;  ///< why it is unsupported or wrong
};

/// The case through the reader, shape inference and the reference interpreter.
OnnxNodeResult run_on_reference(const OnnxNodeCase& each);

/// What is wrong with the outputs by the tolerance of ONNX's runner; empty where nothing is.
std::string difference(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected);
/// The same for results computed with halves: floats may be off by `of_largest` of the largest.
std::string difference(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                       double of_largest);

}  // namespace peregrine::testing
