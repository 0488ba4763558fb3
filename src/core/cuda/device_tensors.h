// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "core/cuda/handles.h"
#include "peregrine/engine.h"

namespace peregrine::cuda {

/// Device memory for the inputs or outputs of an engine at its largest batch.
class DeviceTensors {
 public:
  /// Makes `device` the current one. Zeroed: slots that no picture has filled yet
  /// hold numbers. `specs` must outlive this.
  DeviceTensors(const std::vector<TensorSpec>& specs, int max_batch, Device device);

  void* data(std::size_t i) const { return buffers_[i].data(); }
  /// Packed views for a batch; valid until the next call.
  std::span<const TensorView> views(int batch);

 private:
  const std::vector<TensorSpec>& specs_;
  const Device device_;
  std::vector<DeviceBuffer> buffers_;
  std::vector<TensorView> views_;
  int batch_ = 0;
};

}  // namespace peregrine::cuda
