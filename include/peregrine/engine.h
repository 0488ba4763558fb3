// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "peregrine/tensor.h"

namespace peregrine {

/// One input or output of an engine. `shape[0]` is -1 where the batch is the caller's choice; all
/// other dimensions are known.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;
};

/// A CUDA stream (cudaStream_t) as the caller's handle; null on the CPU.
using StreamHandle = void*;

/// What one caller needs to run an engine: scratch memory and in-flight state. Not thread-safe;
/// make one for each thread or for each batch in flight. Must not outlive its engine.
class PEREGRINE_API ExecutionContext {
 public:
  virtual ~ExecutionContext() = default;

  /// Starts inference of `batch` pictures (1 to `Engine::max_batch()`) and returns at once.
  /// `inputs` and `outputs` follow the order of the engine's specs, packed, on the engine's device,
  /// with `shape[0] == batch`; they must stay valid until `wait`. Throws `Error(kInvalidShape)`
  /// when a binding does not fit, `Error(kEngine)` or `Error(kGpu)` when the engine fails.
  virtual void enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                       int batch, StreamHandle stream = nullptr) = 0;

  /// Blocks until what was enqueued is done. Throws `Error(kEngine)` or `Error(kGpu)` if it failed.
  virtual void wait() = 0;
};

/// A model ready to run on one device; immutable and shareable between threads once made.
class PEREGRINE_API Engine {
 public:
  virtual ~Engine() = default;

  virtual const std::vector<TensorSpec>& inputs() const = 0;
  virtual const std::vector<TensorSpec>& outputs() const = 0;
  virtual int max_batch() const = 0;
  virtual Device device() const = 0;
  /// Such as "OpenVINO 2026.4.1 (CPU, FP32)"; for logs and reports.
  virtual std::string description() const = 0;
  /// How many contexts keep the device busy when each runs one batch at a time.
  virtual int recommended_contexts() const { return 1; }
  virtual std::unique_ptr<ExecutionContext> create_context() const = 0;
};

}  // namespace peregrine
