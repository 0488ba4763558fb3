// SPDX-License-Identifier: Apache-2.0
// What the engine can launch: one row a kernel family, found by the name that steps carry.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <cuda_runtime_api.h>

#include "compiler/program.h"
#include "core/cuda/device_info.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// A step whose operands have addresses. Views of absent operands have null data.
struct BoundStep {
  const compiler::Step& step;
  std::span<const TensorView> inputs;
  std::span<const TensorView> outputs;
  bool overlapped = true;  ///< programmatic dependent launch (see kernels/launch.h)
  cudaStream_t stream = nullptr;

  /// Absent operands and those beyond the last one are empty views.
  const TensorView& input(std::size_t index) const;
  const TensorView& output(std::size_t index = 0) const { return outputs[index]; }
};

/// One row. `run` puts the step on the stream: no allocation, no synchronization, the same launches
/// each time, so that it can be captured. Believes the step: checks/checked_step.h says what must
/// hold, and the engine asks it once for each step of a plan.
struct Kernel {
  const char* name;
  void (*run)(const BoundStep& step);
  /// Names of ways to run the step, the most promising first; `step.tactic` picks one. Null where
  /// there is one way only. Operands need addresses of the right alignment, nothing is read.
  std::vector<std::string> (*tactics)(const BoundStep& step, const DeviceInfo& device,
                                      std::size_t limit) = nullptr;
};

/// Null when there is none.
const Kernel* find_kernel(std::string_view name);

}  // namespace peregrine::cuda
