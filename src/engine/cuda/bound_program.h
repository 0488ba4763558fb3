// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include <cuda_runtime_api.h>

#include "compiler/program.h"
#include "core/cuda/handles.h"
#include "engine/cuda/kernel_table.h"

namespace peregrine::cuda {

/// Where the regions of a program lie on the device.
struct Addresses {
  void* arena = nullptr;
  void* weights = nullptr;
  std::vector<void*> inputs, outputs;
};

/// Streams and events that a program of several streams runs on beside the caller's stream. Only
/// for capture: the events are used over and over.
class Branches {
 public:
  Branches() = default;
  explicit Branches(const compiler::Program& program);
  cudaStream_t stream(int index) const { return streams_[static_cast<std::size_t>(index)].get(); }
  cudaEvent_t event(std::size_t step) const { return events_[step].get(); }

 private:
  std::vector<Stream> streams_;  // of streams 1, 2, ...
  std::vector<Event> events_;    // one a step
};

/// A program whose operands have addresses: what is captured, timed and inspected. The program must
/// outlive it.
class BoundProgram {
 public:
  /// Throws `Error(kModelInvalid)` naming the step whose kernel this build does not have.
  BoundProgram(const compiler::Program& program, const Addresses& addresses);

  std::size_t size() const { return steps_.size(); }
  const Kernel& kernel(std::size_t index) const { return *steps_[index].kernel; }
  /// Step `index` for `stream`; lives as long as this.
  BoundStep step(std::size_t index, cudaStream_t stream, bool overlapped = true) const;
  /// Puts one step on the stream. Errors name the step.
  void enqueue(std::size_t index, cudaStream_t stream, bool overlapped = true) const;
  /// Puts all steps on the stream, or, where the program has several, on it and `branches`; what
  /// follows on the stream waits for all.
  void enqueue(cudaStream_t stream, const Branches& branches, bool overlapped = true) const;

 private:
  struct Entry {
    const compiler::Step* step;
    const Kernel* kernel;
    std::vector<TensorView> inputs, outputs;
  };
  const compiler::Program* program_;
  std::vector<Entry> steps_;
};

}  // namespace peregrine::cuda
