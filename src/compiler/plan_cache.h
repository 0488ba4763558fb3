// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/plan.h"

namespace peregrine::compiler {

/// What a plan built on the fly was asked to be.
struct PlanRequest {
  std::vector<int> batches = {1};
  int height = 0, width = 0;  ///< for models that leave them open
  bool half_pixels = false;   ///< pictures as [batch, height, width, 4] of float16
};

/// Where such a plan is kept in this user's cache folder: one file for each model (by its
/// contents), precision, request and kind of GPU, so that several kinds in one machine keep theirs.
/// Driver and versions are in the file's identity: what they outdate is replaced, not piled up.
/// Empty where there is no cache folder. `identity` needs model_sha256, precision and the device.
std::string plan_cache_path(const PlanIdentity& identity, const PlanRequest& request);

/// A plan out of the cache that may run on the machine that `identity` describes. Otherwise none,
/// and `reason` says in one line why one that is there cannot be used; it stays empty when there is
/// none. Never throws for what a file holds.
std::optional<Plan> find_cached_plan(const std::string& path, const PlanIdentity& identity,
                                     std::string& reason);

/// Where tactics are kept, for `TacticCache`; empty where there is no cache folder.
std::string tactic_cache_path();

}  // namespace peregrine::compiler
