// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/agreement.h"
#include "eval/model_inputs.h"
#include "eval/output_difference.h"
#include "peregrine/engine.h"
#include "vision/task_spec.h"

namespace peregrine::eval {

/// A model's answers against its reference's.
struct ValidationReport {
  std::vector<OutputDifference> outputs;
  std::vector<Agreement::Measure> measures;  ///< of the task; empty where it is not known
  int pictures = 0;
  double tolerance = 0;  ///< of each output's relative L2
  /// Every output within the tolerance, every measure within its limit.
  bool good() const;
};

/// Runs both engines (host tensors, the same model) on the same inputs, in batches of 1, 3 and the
/// most that the candidate takes in turn, and compares. `task`, where known and the inputs are
/// pictures, has its answers compared too. `progress` hears how many pictures are done. Throws
/// `Error(kInvalidShape)` when the engines are not of one model, and what they throw.
ValidationReport validate(const Engine& candidate, const Engine& reference, ModelInputs& inputs,
                          const std::optional<vision::TaskSpec>& task, double tolerance,
                          const std::function<void(int)>& progress = nullptr);

/// An engine with a context and outputs of its own.
class EngineRun {
 public:
  explicit EngineRun(const Engine& engine);
  /// Blocks. The outputs, valid until the next call. A batch beyond the engine's is run in parts.
  std::vector<TensorView> operator()(std::span<const TensorView> inputs, int batch);

 private:
  const Engine& engine_;
  std::unique_ptr<ExecutionContext> context_;
  std::vector<Tensor> outputs_;
};

}  // namespace peregrine::eval
