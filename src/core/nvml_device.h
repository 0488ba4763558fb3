// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "core/shared_library.h"

namespace peregrine {

/// NVML, started, and its handle of a CUDA device; null members where the driver has none of it.
/// NVML counts all GPUs of the machine in the order of their slots, CUDA those of
/// CUDA_VISIBLE_DEVICES, the fastest first: what both know is the address on the bus.
class NvmlDevice {
 public:
  using Handle = void*;  // nvmlDevice_t; an nvmlReturn_t is an int, 0 is success

  explicit NvmlDevice(int cuda_index) {
    auto* init = library_.find<int()>("nvmlInit_v2");
    started_ = init && init() == 0;
    auto* by_address = library_.find<int(const char*, Handle*)>("nvmlDeviceGetHandleByPciBusId_v2");
    const auto address = bus_address(cuda_index);
    if (!started_ || !by_address || by_address(address.data(), &handle_) != 0) handle_ = nullptr;
  }
  ~NvmlDevice() {
    auto* shutdown = library_.find<int()>("nvmlShutdown");
    if (started_ && shutdown) shutdown();
  }
  NvmlDevice(const NvmlDevice&) = delete;
  NvmlDevice& operator=(const NvmlDevice&) = delete;

  Handle handle() const { return handle_; }
  const SharedLibrary& library() const { return library_; }

 private:
  using Address = std::array<char, 32>;

  static Address bus_address(int cuda_index) {
    Address address{};
    const SharedLibrary cuda("libcuda.so.1");
    auto* init = cuda.find<int(unsigned)>("cuInit");
    auto* get = cuda.find<int(int*, int)>("cuDeviceGet");
    auto* ask = cuda.find<int(char*, int, int)>("cuDeviceGetPCIBusId");
    int device = 0;
    if (init && get && ask && init(0) == 0 && get(&device, cuda_index) == 0) {
      ask(address.data(), static_cast<int>(address.size()), device);
    }
    return address;
  }

  const SharedLibrary library_{"libnvidia-ml.so.1"};
  bool started_ = false;
  Handle handle_ = nullptr;
};

}  // namespace peregrine
