// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/gpu_engine.h"
#include "peregrine/engine.h"

namespace peregrine::engine {

/// What every engine can be told; each takes what applies to it.
struct EngineOptions {
  int threads = 0;       ///< CPU threads; 0: all cores of this process
  int max_batch = 1;     ///< pictures in one `enqueue`, at most
  int input_height = 0;  ///< for a model whose height and width are symbolic
  int input_width = 0;
  bool latency = false;  ///< one picture at a time as fast as possible, not most pictures a second
  /// Batches that a GPU's plan is built for; empty: 1 and `max_batch`.
  std::vector<int> batches;
  /// For callers that make pictures on the GPU: see BuildRequest. Of plans built here; one given
  /// by name says itself what it takes.
  bool half_pixels = false;
  std::string precision = "auto";  ///< of a GPU: "fp32", "fp16"; auto is fp16 there. A CPU has fp32
  /// Hears how far the plan of a GPU is that has to be built first (a line of text, again and
  /// again), and an empty line when it is done.
  std::function<void(const std::string&)> progress;
};

/// Loads the model at `path` on `device`: "auto" (a GPU where this build and machine have one and
/// the CUDA engine has all of the model's ops, else the CPU; the log says why), "cpu", "cuda" or
/// "cuda:N". Tensors are the host's whatever the device.
///
/// A GPU takes a plan file as it is, or refuses it. For an ONNX file a plan is looked for in this
/// user's cache, built where there is none that fits, and kept.
///
/// Throws `Error(kUsage)` for another device name or a plan on the CPU, `Error(kGpu)` for a GPU
/// that cannot be used, saying why and what to do, `Error(kPlanMismatch)` for a plan of another
/// machine or version, and what the engine's own maker throws.
std::unique_ptr<Engine> make_engine(const std::string& path, const std::string& device,
                                    const EngineOptions& options);
/// The same for a GPU alone.
std::unique_ptr<GpuEngine> make_gpu_engine(const std::string& path, int device,
                                           const EngineOptions& options);

/// The number of a GPU, 0 for "cuda" and N for "cuda:N". Throws `Error(kUsage)` for anything else.
int parse_cuda_device(const std::string& device);

}  // namespace peregrine::engine
