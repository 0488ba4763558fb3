// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/device_tensors.h"

#include "core/cuda/check.h"
#include "core/tensor_spec.h"

namespace peregrine::cuda {

DeviceTensors::DeviceTensors(const std::vector<TensorSpec>& specs, int max_batch, Device device)
    : specs_(specs), device_(device) {
  CUDA_CHECK(cudaSetDevice(device.index));
  for (const TensorSpec& spec : specs) {
    buffers_.emplace_back(bytes_at(spec, max_batch));
    if (buffers_.back().bytes() == 0) continue;
    CUDA_CHECK(cudaMemset(buffers_.back().data(), 0, buffers_.back().bytes()));
  }
  CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for it
}

std::span<const TensorView> DeviceTensors::views(int batch) {
  if (batch != batch_) {
    views_.clear();
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      views_.emplace_back(buffers_[i].data(), specs_[i].dtype, with_batch(specs_[i], batch),
                          device_);
    }
    batch_ = batch;
  }
  return views_;
}

}  // namespace peregrine::cuda
