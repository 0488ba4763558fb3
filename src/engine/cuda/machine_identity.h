// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/plan.h"
#include "core/cuda/device_info.h"

namespace peregrine::cuda {

/// The part of a plan's identity that is the machine's: device, driver, runtime, and Peregrine's
/// version with a hash of what makes plans (this engine, the compiler, the model reader): a plan of
/// other sources is another plan, whatever number they carry.
compiler::PlanIdentity machine_identity(const DeviceInfo& device);

/// What the time of a tactic depends on beside its step: device, driver, runtime, and a hash of the
/// kernels' sources. For `compiler::TacticCache`.
std::string tactic_machine(const DeviceInfo& device);

}  // namespace peregrine::cuda
