// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace peregrine {

/// What this process may use of the machine's processors and memory: the affinity mask and the
/// container's (cgroup v1 or v2) limits count, not what is soldered in.
struct HostResources {
  std::string cpu_model;          ///< such as "AMD EPYC 9654"; "unknown" where the system hides it
  std::string architecture;       ///< "x86_64", "aarch64", ...
  std::vector<std::string> simd;  ///< vector extensions that inference profits from, "avx2", ...
  int machine_cores = 1;          ///< logical processors of the machine
  int affinity_cores = 1;         ///< those this process may run on
  double quota_cores = 0;         ///< cgroup CPU quota in processors; 0: none
  int cores = 1;                  ///< what to plan with: affinity and quota, at least 1
  std::int64_t memory_bytes = 0;  ///< the machine's, or the cgroup's limit if smaller
  std::int64_t memory_available_bytes = 0;  ///< of it, what is free now (caches counted as free)
};

/// Reads procfs and cgroupfs under `root` ("/" but for tests). Never throws: what cannot be read
/// keeps its default. Cost: a few small files.
HostResources probe_host(const std::string& root = "/");

/// Cores this process may use (affinity and cgroup quota), at least 1. Read once and kept.
int usable_cores();

/// CPU seconds that this process has used so far, its own and the kernel's for it.
double process_cpu_seconds();

/// One NVIDIA GPU as its driver describes it.
struct GpuInfo {
  int index = 0;
  std::string name;
  std::int64_t memory_bytes = 0;
  int compute_major = 0, compute_minor = 0;
};

/// What the NVIDIA driver offers. Nothing is linked: libcuda and libnvidia-ml are opened by name,
/// so that the same program runs where there is no GPU.
struct GpuResources {
  std::vector<GpuInfo> gpus;
  std::string driver_version;  ///< such as "580.159"; empty when unknown
  int cuda_version = 0;        ///< highest CUDA the driver runs, major * 1000 + minor * 10; 0: none
  std::string problem;         ///< why `gpus` is empty; empty otherwise
};
/// Never throws. Starts no CUDA context, so it takes no GPU memory.
GpuResources probe_gpus();

/// What a GPU is doing right now, as its driver says; zeros where it does not.
struct GpuClocks {
  int sm_mhz = 0, max_sm_mhz = 0;
  int memory_mhz = 0, max_memory_mhz = 0;
  double watts = 0;
  int celsius = 0;
  std::string driver_version;
};
/// Never throws. `index` counts as the driver does, CUDA_VISIBLE_DEVICES aside.
GpuClocks probe_gpu_clocks(int index);

/// A shared library that other code may load later.
struct LibraryProbe {
  bool found = false;
  std::size_t version = 0;  ///< what its version function returned; 0 without one
  std::string problem;      ///< the loader's words when it was not found
};
/// Loads and unloads `name` ("libcudnn.so.9"). `version_function`, where given, takes nothing and
/// returns size_t. Never throws.
LibraryProbe probe_library(const char* name, const char* version_function = nullptr);

/// The machine as profiles and `doctor` see it.
struct Machine {
  HostResources host;
  GpuResources gpu;
};
Machine probe_machine();

/// "3.5 GiB", "512 MiB": for people.
std::string format_bytes(std::int64_t bytes);

}  // namespace peregrine
