// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "core/cuda/device_info.h"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/tactic.h"

namespace peregrine::cuda {

using ConvTactic = Tactic<ConvParams>;

/// Ways to run an FP16 convolution on a device, the most promising first, at most `limit` of them
/// (timing eight finds the best of all within 1% on the average of yolo11's shapes, four within
/// 4%). Empty where only `launch_conv_strided` can do it. A stem is recognised by `planar_input`:
/// FP32 planes, as the network's caller gives them, which only the stem kernel reads.
std::vector<ConvTactic> conv_tactics(const ConvParams& params, bool planar_input,
                                     const DeviceInfo& device, std::size_t limit = 8);

/// The tile of that name, as `conv_tactics` calls it ("conv 64x64x64", "conv 16x16x64 /4"). Throws
/// `Error(kPlanMismatch)` when this build has none.
ConvTactic named_conv_tactic(std::string_view name);

/// Microseconds that the implicit-GEMM kernel is expected to take; a ranking, not a promise.
double predict_conv_tile(const ConvParams& params, const ConvTile& tile, int splits,
                         const DeviceInfo& device);

}  // namespace peregrine::cuda
