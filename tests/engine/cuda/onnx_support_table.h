// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <string>

#include "model/onnx_node_cases.h"

namespace peregrine::testing {

/// What became of the cases of each op, by who ran them; docs/onnx-support.md.
class OnnxSupportTable {
 public:
  enum Column : std::size_t { kReference, kCudaFloat32, kCudaFloat16, kColumns };

  void add(const std::string& op, Column column, Outcome outcome);
  int count(Column column, Outcome outcome) const;
  /// `on_gpu`: CUDA's cases ran there; else the table says that they did not.
  void write(const std::string& path, bool on_gpu) const;

 private:
  using Counts = std::map<Outcome, int>;
  std::map<std::string, std::array<Counts, kColumns>> ops_;
};

}  // namespace peregrine::testing
