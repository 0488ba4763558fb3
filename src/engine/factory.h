// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "peregrine/engine.h"

namespace peregrine::engine {

/// What every engine can be told; each takes what applies to it.
struct EngineOptions {
  int threads = 0;       ///< CPU threads; 0: all cores of this process
  int max_batch = 1;     ///< pictures in one `enqueue`, at most
  int input_height = 0;  ///< for a model whose height and width are symbolic
  int input_width = 0;
  bool latency = false;  ///< one picture at a time as fast as possible, not most pictures a second
};

/// Loads the model at `path` on `device`: "auto" (the best engine of this build that this machine
/// can run), "cpu", "cuda" or "cuda:N". Throws `Error(kUsage)` for another device name,
/// `Error(kGpu)` for a GPU that cannot be used, saying why and what to do, and what the engine's
/// own maker throws.
std::unique_ptr<Engine> make_engine(const std::string& path, const std::string& device,
                                    const EngineOptions& options);

/// Whether this build has an engine for NVIDIA GPUs; whether the machine has a GPU is another
/// matter.
bool has_cuda_engine();

}  // namespace peregrine::engine
