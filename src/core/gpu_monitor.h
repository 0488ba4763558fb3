// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

namespace peregrine {

/// What a GPU's driver says of one moment; -1 where it does not.
struct GpuSample {
  std::int64_t used_bytes = -1, total_bytes = -1;  ///< of all processes
  int sm_percent = -1;                             ///< share of time in which some kernel ran
  int decoder_percent = -1;                        ///< of NVDEC, all its engines together
  double bus_bytes_per_second = -1;                ///< nominal rate of its PCIe link, one direction
};

/// Nominal rate of a PCIe link, one direction; -1 for a generation that this program does not know.
double pcie_bytes_per_second(unsigned generation, unsigned lanes);

/// Asks NVML (libnvidia-ml, opened by name) again and again. Never throws: without a driver every
/// answer is -1.
class GpuMonitor {
 public:
  /// `index` counts as CUDA does, so CUDA_VISIBLE_DEVICES is heeded.
  explicit GpuMonitor(int index);
  ~GpuMonitor();
  /// A few hundred microseconds.
  GpuSample sample() const;

 private:
  struct Driver;
  std::unique_ptr<Driver> driver_;
};

}  // namespace peregrine
