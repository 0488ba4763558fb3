// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <list>
#include <vector>

#include "core/cuda/device_tensors.h"
#include "core/cuda/handles.h"
#include "engine/cuda/bound_program.h"
#include "engine/cuda/cuda_engine.h"
#include "peregrine/engine.h"

namespace peregrine::cuda {

/// One caller's arena, stream and captured graphs.
///
/// A graph holds the addresses it was captured with. Callers that bring the same few buffers again
/// and again get graphs that exist: `enqueue` then allocates nothing, chooses nothing and does not
/// wait. New addresses cost a capture (under a millisecond); the `kGraphs` last used are kept.
class CudaContext : public ExecutionContext {
 public:
  static constexpr std::size_t kGraphs = 64;

  explicit CudaContext(const CudaEngine& engine);
  ~CudaContext() override;
  /// Device memory that one takes.
  static std::size_t bytes(const CudaEngine& engine);

  void enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int batch,
               StreamHandle stream) override;
  void wait() override;

  /// Own memory for inputs and outputs of the largest batch: where padded batches run.
  Addresses own_addresses() const;

 private:
  struct Captured {
    int program = 0;
    Addresses addresses;
    GraphExec graph;
  };
  void run(int program, const Addresses& addresses, cudaStream_t stream);
  void run_padded(int program, const Addresses& caller, int count, cudaStream_t stream);
  const Captured& captured(int program, const Addresses& addresses);

  const CudaEngine& engine_;
  DeviceBuffer arena_;
  DeviceTensors inputs_, outputs_;  // slots that no picture fills are computed too
  Stream stream_;
  Stream capture_stream_;
  Event done_;
  std::list<Captured> graphs_;  // the last used first
};

}  // namespace peregrine::cuda
