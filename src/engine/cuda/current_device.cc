// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/current_device.h"

#include <map>
#include <mutex>

#include "core/cuda/check.h"

namespace peregrine::cuda {

const DeviceInfo& current_device() {
  static std::mutex mutex;
  static std::map<int, DeviceInfo> known;
  int index = 0;
  CUDA_CHECK(cudaGetDevice(&index));
  const std::lock_guard lock(mutex);
  const auto found = known.find(index);
  return found != known.end() ? found->second
                              : known.emplace(index, device_info(index)).first->second;
}

}  // namespace peregrine::cuda
