// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compiler/plan.h"
#include "core/cuda/device_info.h"
#include "core/cuda/handles.h"
#include "peregrine/engine.h"

namespace peregrine::cuda {

/// What a step of a program takes.
struct StepTime {
  const compiler::Step* step = nullptr;
  double microseconds = 0;  ///< by itself, in a chain of its own: everything it reads is in the L2
  double in_place = 0;      ///< what it adds to the steps before it, run in order
};

/// Runs a plan: one copy of the weights for all contexts, one CUDA graph for each (context, batch,
/// bindings).
///
/// Batches that were not built run as the cheapest sum of those that were, the last one padded
/// where that is quicker. Contexts own an arena and a stream; `enqueue` on the caller's stream or,
/// without one, on the context's.
class CudaEngine : public Engine, public std::enable_shared_from_this<CudaEngine> {
 public:
  /// Copies the weights to GPU `device`. Throws `Error(kGpu)`, `Error(kOutOfMemory)`, or
  /// `Error(kModelInvalid)` for a plan with kernels this build does not have. The plan's fit to the
  /// device is the caller's to check (compiler/plan_file.h).
  CudaEngine(compiler::Plan plan, int device);
  ~CudaEngine() override;

  const std::vector<TensorSpec>& inputs() const override { return plan_.inputs; }
  const std::vector<TensorSpec>& outputs() const override { return plan_.outputs; }
  int max_batch() const override;
  Device device() const override { return Device::cuda(device_.index); }
  std::string description() const override;
  int recommended_contexts() const override { return 2; }
  std::unique_ptr<ExecutionContext> create_context() const override;

  /// Without the weights, which are on the device.
  const compiler::Plan& plan() const { return plan_; }
  const DeviceInfo& device_info() const { return device_; }
  /// Device memory of the weights, and of one context.
  std::size_t weight_bytes() const { return weights_.bytes(); }
  std::size_t context_bytes() const;
  /// Which programs (indices into plan().programs) run a batch, in order.
  const std::vector<int>& schedule(int batch) const {
    return schedules_[static_cast<std::size_t>(batch)];
  }

  /// Times every step of a program, alone and in place. Blocks for seconds; for reports.
  std::vector<StepTime> time_steps(std::size_t program) const;
  /// Runs program 0's steps one by one on host inputs and hands each step's outputs, packed on the
  /// host, to `seen`: what `validate --bisect` walks. Blocks.
  void run_stepwise(
      std::size_t program, std::span<const TensorView> host_inputs,
      const std::function<void(const compiler::Step&, std::size_t output, Tensor)>& seen) const;

 private:
  friend class CudaContext;
  void* weights() const { return weights_.data(); }

  compiler::Plan plan_;
  DeviceInfo device_;
  DeviceBuffer weights_;
  std::vector<std::vector<int>> schedules_;  // by batch
};

/// Programs to run for each batch from 0 to the largest: fewest microseconds in all, the last one
/// perhaps padded.
std::vector<std::vector<int>> schedule_batches(const std::vector<compiler::Program>& programs);

}  // namespace peregrine::cuda
