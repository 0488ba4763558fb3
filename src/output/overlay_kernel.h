// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "output/overlay_blocks.h"
#include "output/overlay_cuda.h"
#include "peregrine/frame.h"

namespace peregrine::output {

/// Enqueues: `to` becomes `from` (planes Y and UV in device memory) with `list`, whose pointers are
/// of the device, drawn on it. Throws `Error(kGpu)` when the launch fails.
void launch_overlay(const BlockList& list, const Plane (&from)[2], const DevicePicture& to,
                    cudaStream_t stream);

}  // namespace peregrine::output
