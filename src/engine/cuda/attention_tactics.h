// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "core/cuda/device_info.h"
#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/tactic.h"

namespace peregrine::cuda {

using AttentionTactic = Tactic<AttentionParams>;

/// Ways to run an FP16 attention that `attention_supports` on a device, the most promising first,
/// at most `limit` of them, such as "attention 64x256 wg" (queries of a block, keys of its step).
/// Never empty: one kernel runs it all.
std::vector<AttentionTactic> attention_tactics(const AttentionParams& params,
                                               const DeviceInfo& device, std::size_t limit = 4);

/// The tactic of that name for these parameters. Throws `Error(kPlanMismatch)` when this build has
/// none.
AttentionTactic named_attention_tactic(std::string_view name, const AttentionParams& params);

}  // namespace peregrine::cuda
