// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler/plan.h"
#include "core/cuda/device_info.h"
#include "engine/cuda/plan_builder.h"

namespace peregrine::cuda {

/// Chooses the tactic of every step that has a choice, by timing the most promising ones inside a
/// graph; equal steps are timed once. Then times each program. The plan must hold its weights.
void tune(compiler::Plan& plan, const DeviceInfo& device, const BuildOptions& options,
          BuildReport& report);

}  // namespace peregrine::cuda
