// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>

#include "model/onnx_node_cases.h"

namespace peregrine::testing {

/// What became of the cases of each op, by who ran them; docs/onnx-support.md.
class OnnxSupportTable {
 public:
  enum Column : std::size_t { kReference, kCudaFloat32, kCudaFloat16, kColumns };

  void add(const std::string& op, Column column, Outcome outcome);
  /// A message of the engine that refuses a case: the table lists what the node did.
  void add_refusal(const std::string& message);
  int count(Column column, Outcome outcome) const;
  /// `on_gpu`: CUDA's cases ran there; else the table says that they did not.
  void write(const std::string& path, bool on_gpu) const;

 private:
  using Counts = std::map<Outcome, int>;
  std::map<std::string, std::array<Counts, kColumns>> ops_;
  std::set<std::string> refusals_;  // "op: reason"
};

}  // namespace peregrine::testing
