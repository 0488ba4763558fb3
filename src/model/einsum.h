// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "peregrine/tensor.h"

namespace peregrine::model {

/// An Einsum equation read for given shapes: every axis has a small label; the axes of an ellipsis
/// have labels of their own.
struct Einsum {
  std::vector<std::vector<int>> inputs;  ///< labels of every input's axes
  std::vector<int> output;               ///< labels of the output's axes
  std::vector<std::int64_t> extent;      ///< size of every label
};

/// Throws `Error(kInvalidShape)` when the equation is malformed or sizes contradict it.
Einsum parse_einsum(const std::string& equation, const std::vector<Shape>& shapes);

}  // namespace peregrine::model
