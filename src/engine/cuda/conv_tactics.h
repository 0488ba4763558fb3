// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/cuda/device_info.h"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/tactic.h"

namespace peregrine::cuda {

using ConvTactic = Tactic<ConvParams>;

/// Ways to run an FP16 convolution on a device, the most promising first, at most `limit` of them
/// (timing eight finds the best of all within 1% on the average of yolo11n's shapes, four within
/// 3%). Never empty: what no other kernel can do, the direct one does. A stem is recognised by
/// `planar_input`: FP32 planes, as the network's caller gives them; only the stem kernel reads
/// those, so the list is empty where it does not support the shape.
std::vector<ConvTactic> conv_tactics(const ConvParams& params, bool planar_input,
                                     const DeviceInfo& device, std::size_t limit = 8);

/// Microseconds that the implicit-GEMM kernel is expected to take; a ranking, not a promise.
double predict_conv_tile(const ConvParams& params, const ConvTile& tile, int splits,
                         const DeviceInfo& device);

}  // namespace peregrine::cuda
