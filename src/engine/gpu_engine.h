// SPDX-License-Identifier: Apache-2.0
// The CUDA engine as the rest of the house uses it: plans built, loaded and measured, without a
// CUDA type. A build of Peregrine without a CUDA toolkit has the same functions; each of them
// throws `Error(kGpu)` that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compiler/compile_graph.h"
#include "compiler/plan.h"
#include "engine/run_times.h"
#include "peregrine/engine.h"

namespace peregrine::engine {

/// How far a build is.
struct BuildStatus {
  std::string stage;     ///< "reading", "pass", "lowering", "tuning", "measuring"
  int batch = 0;         ///< 0 where a stage is for all
  std::string what;      ///< the pass or the node at hand
  int done = 0, of = 0;  ///< nodes; 0 of 0 where nothing is counted
  int tactics_timed = 0;
};

/// In one line for people: "batch 8: tuning 34 of 120, /model.2/cv1/conv/Conv, 212 tactics timed".
std::string to_string(const BuildStatus& status);

struct BuildRequest {
  std::string model;               ///< path of an ONNX file
  std::string precision = "fp16";  ///< or "fp32"
  std::vector<int> batches = {1};
  std::size_t workspace_bytes = std::size_t{4} << 30;
  double time_budget_seconds = 0;  ///< of tuning; 0: none
  int height = 0, width = 0;       ///< for models that leave them open
  /// Pictures [batch, 3, height, width] are brought as float16 [batch, height, width, 4] instead,
  /// the fourth number of a pixel being zero: what a GPU that makes them itself writes fastest.
  bool half_pixels = false;
  int device = 0;
  bool tactic_cache = true;  ///< read this user's measured tactics and add to them
  std::function<void(const BuildStatus&)> progress;
};

struct BuildResult {
  compiler::Plan plan;
  std::vector<compiler::PassReport> passes;
  int tactics_timed = 0, tactics_from_cache = 0;
  double seconds = 0;
};

/// Throws `Error(kGpu)` without a usable GPU of that number, `Error(kUsage)` for another precision
/// or a batch below 1, what reading throws, and `Error(kModelUnsupported)` naming the node that the
/// engine cannot run.
BuildResult build_plan(const BuildRequest& request);

/// A plan on a GPU behind host tensors: inputs go up and outputs come down through pinned memory.
/// Contexts are independent of each other.
class GpuEngine : public Engine {
 public:
  Device device() const override { return Device::cpu(); }  // of the bindings
  virtual Device gpu() const = 0;
  /// The same plan for callers whose tensors are on that GPU; shares the weights and outlives this.
  virtual std::shared_ptr<const Engine> on_device() const = 0;
  /// Without its weights.
  virtual const compiler::Plan& plan() const = 0;
  /// Bytes of device memory: the weights, and what each context adds.
  virtual std::size_t weight_bytes() const = 0;
  virtual std::size_t context_bytes() const = 0;

  /// What the GPU could do at best: for shares of the roofline.
  struct Peak {
    double bytes_per_second = 0, flops_per_second = 0;  ///< memory; FP16 tensor cores
  };
  virtual Peak peak() const = 0;

  /// Times of one call with `inputs` (host, [batch, ...]) and outputs on the device, calls queued
  /// one behind another, for about `seconds`. Blocks.
  virtual RunTimes time_on_device(std::span<const TensorView> inputs, int batch,
                                  double seconds) const = 0;
  /// Microseconds of each step of `plan().programs[program]` in a chain of its own. Blocks.
  virtual std::vector<double> time_steps(std::size_t program) const = 0;
  /// Runs that program step by step on host inputs of its batch; `seen` gets every output of every
  /// step, packed, on the host. Blocks.
  virtual void run_stepwise(
      std::size_t program, std::span<const TensorView> inputs,
      const std::function<void(const compiler::Step&, std::size_t output, Tensor)>& seen) const = 0;
};

/// Puts a plan on GPU `device`. Throws `Error(kGpu)`, `Error(kOutOfMemory)`;
/// `Error(kPlanMismatch)`, naming `path` and the command that rebuilds it, for a plan of another
/// machine or version.
std::unique_ptr<GpuEngine> load_plan(compiler::Plan plan, const std::string& path, int device);

/// What `compiler::plan_mismatch` compares a plan with. Throws `Error(kGpu)`.
compiler::PlanIdentity gpu_identity(int device);

/// Whether this build has an engine for NVIDIA GPUs.
bool has_cuda_engine();

/// What this process holds of a GPU's memory by its own allocations (engines, buffers, the pool of
/// pictures). The decoders' surfaces are the driver's.
struct GpuMemory {
  std::size_t in_use = 0, cached = 0, peak = 0;  ///< bytes
  double fragmentation = 0;                      ///< share of pooled bytes lost to size classes
  std::uint64_t device_allocations = 0;          ///< none after warm-up
};
/// All zero in a build without CUDA.
GpuMemory gpu_memory(int device);
/// Most memory of the GPU that may be in use when this process allocates or opens a decoder; 0: no
/// limit. Nothing in a build without CUDA.
void limit_gpu_memory(int device, std::size_t bytes);

}  // namespace peregrine::engine
