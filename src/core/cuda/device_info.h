// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace peregrine::cuda {

/// What a GPU is, read off the device; the part of it that a plan depends on is its fingerprint.
struct DeviceInfo {
  int index = 0;
  std::string name;       ///< such as "NVIDIA H200"
  int compute_major = 0;  ///< 9 for sm_90
  int compute_minor = 0;
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t l2_bytes = 0;
  int shared_bytes_per_block = 0;  ///< the most one block may ask for
  int driver_version = 0;          ///< as CUDA counts: 13000 is 13.0
  int runtime_version = 0;

  /// 90 for sm_90.
  int sm() const { return compute_major * 10 + compute_minor; }
};

/// Number of usable GPUs; 0 without a driver or a GPU. `why_none`, when given, says why in words.
int device_count(std::string* why_none = nullptr);
/// The driver's context (CUcontext) that the runtime uses on a GPU, for libraries that want it;
/// makes that GPU the current one. Throws `Error(kGpu)`. Found without linking the driver.
void* driver_context(int index);
/// Throws `Error(kGpu)` when there is no such GPU or it is older than sm_80.
DeviceInfo device_info(int index);

}  // namespace peregrine::cuda
