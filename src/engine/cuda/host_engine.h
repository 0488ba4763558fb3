// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/cuda/cuda_engine.h"
#include "engine/gpu_engine.h"

namespace peregrine::cuda {

/// A CUDA engine whose callers have their tensors on the host. Each context has its own stream,
/// pinned memory and device memory for the largest batch; `enqueue` copies the inputs and returns,
/// `wait` copies the outputs.
class HostEngine final : public engine::GpuEngine {
 public:
  explicit HostEngine(std::shared_ptr<const CudaEngine> engine) : engine_(std::move(engine)) {}

  const std::vector<TensorSpec>& inputs() const override { return engine_->inputs(); }
  const std::vector<TensorSpec>& outputs() const override { return engine_->outputs(); }
  int max_batch() const override { return engine_->max_batch(); }
  std::string description() const override { return engine_->description(); }
  int recommended_contexts() const override { return engine_->recommended_contexts(); }
  std::unique_ptr<ExecutionContext> create_context() const override;

  Device gpu() const override { return engine_->device(); }
  std::shared_ptr<const Engine> on_device() const override { return engine_; }
  const compiler::Plan& plan() const override { return engine_->plan(); }
  std::size_t weight_bytes() const override { return engine_->weight_bytes(); }
  std::size_t context_bytes() const override { return engine_->context_bytes(); }
  Peak peak() const override;
  engine::RunTimes time_on_device(std::span<const TensorView> inputs, int batch,
                                  double seconds) const override;
  std::vector<double> time_steps(std::size_t program) const override;
  void run_stepwise(
      std::size_t program, std::span<const TensorView> inputs,
      const std::function<void(const compiler::Step&, std::size_t, Tensor)>& seen) const override {
    engine_->run_stepwise(program, inputs, seen);
  }

 private:
  const std::shared_ptr<const CudaEngine> engine_;
};

}  // namespace peregrine::cuda
