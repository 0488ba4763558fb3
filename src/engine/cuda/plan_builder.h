// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compiler/compile_graph.h"
#include "compiler/plan.h"
#include "core/cuda/device_info.h"
#include "engine/cuda/layout.h"
#include "model/graph.h"

namespace peregrine::compiler {
class TacticCache;
}

namespace peregrine::cuda {

/// How far a build is.
struct BuildProgress {
  enum class Stage { kRead, kPass, kLower, kTune, kMeasure };
  Stage stage = Stage::kRead;
  int batch = 0;
  std::string what;       ///< the pass or the node at hand
  int done = 0, of = 0;   ///< steps tuned; 0 of 0 elsewhere
  int tactics_timed = 0;  ///< since the build began
};

struct BuildOptions {
  Precision precision = Precision::kFloat16;
  std::vector<int> batches = {1};
  std::size_t workspace_bytes = std::size_t{4} << 30;  ///< the arena may not be larger
  double time_budget_seconds = 0;  ///< of tuning; what is left then keeps the cost model's choice
  int height = 0, width = 0;       ///< for models that leave them open
  /// Pictures [batch, 3, height, width] are brought as float16 [batch, height, width, 4] instead.
  bool half_pixels = false;
  int device = 0;
  int tactic_limit = 8;                      ///< timed for each step
  compiler::TacticCache* tactics = nullptr;  ///< read and added to
  std::function<void(const BuildProgress&)> progress;
};

struct BuildReport {
  std::vector<compiler::PassReport> passes;  ///< of the first batch
  int tactics_timed = 0;
  int tactics_from_cache = 0;
  double seconds = 0;
};

/// ONNX file to plan, measured on GPU `options.device`. Throws what reading and inferring throw,
/// `Error(kModelUnsupported)` naming the node the engine has no kernel for, `Error(kGpu)` without a
/// GPU.
compiler::Plan build_plan(const std::string& onnx_path, const BuildOptions& options,
                          BuildReport* report = nullptr);

/// The part of it that needs no GPU: graphs of ascending batches, shapes known and passes done, to
/// a plan whose steps have no tactics yet and whose identity is empty but for the precision.
compiler::Plan lower_to_plan(std::span<const model::Graph> graphs, Precision precision);

}  // namespace peregrine::cuda
