// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/cuda/device_info.h"

namespace peregrine::cuda {

/// Of the device in force on this thread; kept, as asking the driver takes milliseconds. Throws
/// `Error(kGpu)`.
const DeviceInfo& current_device();

}  // namespace peregrine::cuda
