// SPDX-License-Identifier: Apache-2.0
// Asks the NVIDIA driver what it has through libcuda and libnvidia-ml, opened by name. Only calls
// that have kept their signature since CUDA 3 are used, so any driver answers.
#include <array>
#include <memory>

#include <fmt/format.h>

#include "core/machine.h"
#include "core/nvml_device.h"
#include "core/shared_library.h"

namespace peregrine {
namespace {

// CUresult and CUdevice are ints in the driver's ABI; 0 is success.
using CuInit = int(unsigned);
using CuDriverGetVersion = int(int*);
using CuDeviceGetCount = int(int*);
using CuDeviceGet = int(int*, int);
using CuDeviceGetName = int(char*, int, int);
using CuDeviceTotalMem = int(std::size_t*, int);
using CuDeviceGetAttribute = int(int*, int, int);
using CuGetErrorString = int(int, const char**);
constexpr int kComputeCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kComputeCapabilityMinor = 76;

std::string cuda_error(const SharedLibrary& cuda, int code) {
  const char* text = nullptr;
  if (auto* describe = cuda.find<CuGetErrorString>("cuGetErrorString")) describe(code, &text);
  return text ? fmt::format("{} (CUDA error {})", text, code) : fmt::format("CUDA error {}", code);
}

std::string driver_version() {
  const SharedLibrary nvml("libnvidia-ml.so.1");
  if (!nvml) return "";
  auto* init = nvml.find<int()>("nvmlInit_v2");
  auto* version = nvml.find<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  auto* shutdown = nvml.find<int()>("nvmlShutdown");
  if (!init || !version || !shutdown || init() != 0) return "";
  std::array<char, 96> text{};
  const bool known = version(text.data(), text.size()) == 0;
  shutdown();
  return known ? text.data() : "";
}

using NvmlClock = int(NvmlDevice::Handle, int kind, unsigned* mhz);
constexpr int kSmClock = 1, kMemoryClock = 2;  // NVML_CLOCK_SM, NVML_CLOCK_MEM

int clock_of(const SharedLibrary& nvml, const char* function, NvmlDevice::Handle device, int kind) {
  unsigned mhz = 0;
  auto* ask = nvml.find<NvmlClock>(function);
  return ask && ask(device, kind, &mhz) == 0 ? static_cast<int>(mhz) : 0;
}

GpuInfo describe(const SharedLibrary& cuda, int index) {
  GpuInfo gpu;
  gpu.index = index;
  int device = 0;
  if (cuda.find<CuDeviceGet>("cuDeviceGet")(&device, index) != 0) return gpu;
  std::array<char, 256> name{};
  if (cuda.find<CuDeviceGetName>("cuDeviceGetName")(name.data(), name.size(), device) == 0) {
    gpu.name = name.data();
  }
  std::size_t bytes = 0;
  if (cuda.find<CuDeviceTotalMem>("cuDeviceTotalMem_v2")(&bytes, device) == 0) {
    gpu.memory_bytes = static_cast<std::int64_t>(bytes);
  }
  auto* attribute = cuda.find<CuDeviceGetAttribute>("cuDeviceGetAttribute");
  attribute(&gpu.compute_major, kComputeCapabilityMajor, device);
  attribute(&gpu.compute_minor, kComputeCapabilityMinor, device);
  return gpu;
}

}  // namespace

GpuResources probe_gpus() {
  GpuResources found;
  const SharedLibrary cuda("libcuda.so.1");
  if (!cuda) {
    found.problem = "no NVIDIA driver: " + cuda.error();
    return found;
  }
  for (const char* name : {"cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet",
                           "cuDeviceGetName", "cuDeviceTotalMem_v2", "cuDeviceGetAttribute"}) {
    if (!cuda.find<void()>(name)) {
      found.problem = fmt::format("libcuda.so.1 lacks {}: not an NVIDIA driver's library", name);
      return found;
    }
  }
  found.driver_version = driver_version();
  cuda.find<CuDriverGetVersion>("cuDriverGetVersion")(&found.cuda_version);
  if (const int code = cuda.find<CuInit>("cuInit")(0); code != 0) {
    found.problem = "the NVIDIA driver does not start: " + cuda_error(cuda, code);
    return found;
  }
  int count = 0;
  cuda.find<CuDeviceGetCount>("cuDeviceGetCount")(&count);
  for (int index = 0; index < count; ++index) found.gpus.push_back(describe(cuda, index));
  if (count == 0) found.problem = "the NVIDIA driver lists no GPU (is CUDA_VISIBLE_DEVICES empty?)";
  return found;
}

GpuClocks probe_gpu_clocks(int index) {
  GpuClocks clocks;
  clocks.driver_version = driver_version();
  const NvmlDevice found(index);
  const SharedLibrary& nvml = found.library();
  if (const NvmlDevice::Handle device = found.handle()) {
    clocks.sm_mhz = clock_of(nvml, "nvmlDeviceGetClockInfo", device, kSmClock);
    clocks.max_sm_mhz = clock_of(nvml, "nvmlDeviceGetMaxClockInfo", device, kSmClock);
    clocks.memory_mhz = clock_of(nvml, "nvmlDeviceGetClockInfo", device, kMemoryClock);
    clocks.max_memory_mhz = clock_of(nvml, "nvmlDeviceGetMaxClockInfo", device, kMemoryClock);
    unsigned milliwatts = 0, degrees = 0;
    auto* power = nvml.find<int(NvmlDevice::Handle, unsigned*)>("nvmlDeviceGetPowerUsage");
    if (power && power(device, &milliwatts) == 0) clocks.watts = milliwatts / 1e3;
    auto* heat = nvml.find<int(NvmlDevice::Handle, int, unsigned*)>("nvmlDeviceGetTemperature");
    constexpr int kOfTheChip = 0;  // NVML_TEMPERATURE_GPU
    if (heat && heat(device, kOfTheChip, &degrees) == 0) clocks.celsius = static_cast<int>(degrees);
  }
  return clocks;
}

LibraryProbe probe_library(const char* name, const char* version_function) {
  const SharedLibrary library(name);
  if (!library) return {.found = false, .version = 0, .problem = library.error()};
  LibraryProbe probe{.found = true, .version = 0, .problem = ""};
  if (version_function) {
    if (auto* version = library.find<std::size_t()>(version_function)) probe.version = version();
  }
  return probe;
}

}  // namespace peregrine
