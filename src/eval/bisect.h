// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/gpu_engine.h"

namespace peregrine::eval {

/// A place where a plan and its model were compared.
struct Checkpoint {
  std::string node;                  ///< ONNX's node that makes the value
  std::string op;                    ///< "Conv"
  std::string value;                 ///< ONNX's name of what was compared
  std::string kernel, tactic;        ///< of the plan's step that made it
  std::vector<std::string> origins;  ///< ONNX nodes whose work that step does
  double error = 0;                  ///< relative L2; NaN or infinite where the plan's is
};

struct Bisection {
  /// In the model's order: the first whose error leaves the tolerance while no earlier one did.
  std::optional<Checkpoint> first;
  Checkpoint worst;
  int compared = 0;   ///< values that plan and model both have
  int unmatched = 0;  ///< of the plan: made by a rewrite, and found nowhere in the model
};

/// Runs the smallest program of a plan step by step and the ONNX file `model` in the reference
/// interpreter (FP32, slow: seconds to minutes) on the same inputs (host, of that program's batch),
/// and compares every value that both have. Throws what either throws.
Bisection bisect(const engine::GpuEngine& plan, const std::string& model,
                 std::span<const TensorView> inputs, double tolerance,
                 const std::function<void(const std::string& node)>& progress = nullptr);

}  // namespace peregrine::eval
