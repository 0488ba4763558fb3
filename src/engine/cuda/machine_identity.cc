// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/machine_identity.h"

#include <fmt/format.h>

#include "engine/cuda/kernel_hash.inc"  // made by the build, see CMakeLists.txt
#include "engine/cuda/plan_hash.inc"
#include "peregrine/version.h"

namespace peregrine::cuda {

compiler::PlanIdentity machine_identity(const DeviceInfo& device) {
  compiler::PlanIdentity identity;
  identity.device_name = device.name;
  identity.sm = device.sm();
  identity.multiprocessors = device.multiprocessors;
  identity.driver_version = device.driver_version;
  identity.runtime_version = device.runtime_version;
  identity.peregrine_version = fmt::format("{}+{}", version(), kPlanHash);
  return identity;
}

std::string tactic_machine(const DeviceInfo& device) {
  return fmt::format("{}|sm_{}|{}|driver {}|runtime {}|kernels {}", device.name, device.sm(),
                     device.multiprocessors, device.driver_version, device.runtime_version,
                     kKernelHash);
}

}  // namespace peregrine::cuda
