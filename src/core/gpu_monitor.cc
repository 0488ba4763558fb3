// SPDX-License-Identifier: Apache-2.0
#include "core/gpu_monitor.h"

#include <iterator>

#include "core/nvml_device.h"

namespace peregrine {

struct GpuMonitor::Driver {
  struct Memory {  // nvmlMemory_t
    unsigned long long total, free, used;
  };
  struct Utilization {  // nvmlUtilization_t
    unsigned gpu, memory;
  };
  const NvmlDevice device;

  explicit Driver(int index) : device(index) {}
};

GpuMonitor::GpuMonitor(int index) : driver_(std::make_unique<Driver>(index)) {}
GpuMonitor::~GpuMonitor() = default;

GpuSample GpuMonitor::sample() const {
  GpuSample sample;
  const NvmlDevice::Handle device = driver_->device.handle();
  if (!device) return sample;
  const SharedLibrary& nvml = driver_->device.library();
  Driver::Memory memory{};
  auto* ask_memory = nvml.find<int(NvmlDevice::Handle, Driver::Memory*)>("nvmlDeviceGetMemoryInfo");
  if (ask_memory && ask_memory(device, &memory) == 0) {
    sample.used_bytes = static_cast<std::int64_t>(memory.used);
    sample.total_bytes = static_cast<std::int64_t>(memory.total);
  }
  Driver::Utilization use{};
  auto* ask_use =
      nvml.find<int(NvmlDevice::Handle, Driver::Utilization*)>("nvmlDeviceGetUtilizationRates");
  if (ask_use && ask_use(device, &use) == 0) sample.sm_percent = static_cast<int>(use.gpu);
  unsigned decoder = 0, period = 0;
  auto* ask_decoder =
      nvml.find<int(NvmlDevice::Handle, unsigned*, unsigned*)>("nvmlDeviceGetDecoderUtilization");
  if (ask_decoder && ask_decoder(device, &decoder, &period) == 0) {
    sample.decoder_percent = static_cast<int>(decoder);
  }
  unsigned generation = 0, lanes = 0;
  auto* ask_generation =
      nvml.find<int(NvmlDevice::Handle, unsigned*)>("nvmlDeviceGetMaxPcieLinkGeneration");
  auto* ask_lanes = nvml.find<int(NvmlDevice::Handle, unsigned*)>("nvmlDeviceGetMaxPcieLinkWidth");
  if (ask_generation && ask_lanes && ask_generation(device, &generation) == 0 &&
      ask_lanes(device, &lanes) == 0) {
    sample.bus_bytes_per_second = pcie_bytes_per_second(generation, lanes);
  }
  return sample;
}

double pcie_bytes_per_second(unsigned generation, unsigned lanes) {
  // Of a lane, after its line code (8b/10b, later 128b/130b, then PAM4 with FLITs).
  constexpr double kLane[] = {0.25e9, 0.5e9, 0.985e9, 1.969e9, 3.938e9, 7.563e9};
  if (generation == 0 || generation > std::size(kLane) || lanes == 0) return -1;
  return kLane[generation - 1] * lanes;
}

}  // namespace peregrine
