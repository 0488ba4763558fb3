// SPDX-License-Identifier: Apache-2.0
#include "compiler/plan_cache.h"

#include <sys/stat.h>

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/plan_file.h"
#include "core/cache_folder.h"
#include "core/sha256.h"
#include "peregrine/error.h"

namespace peregrine::compiler {

std::string plan_cache_path(const PlanIdentity& identity, const PlanRequest& request) {
  const std::string root = cache_folder();
  if (root.empty()) return "";
  const std::string folder = root + "/plans";
  ::mkdir(folder.c_str(), 0700);
  const std::string key =
      fmt::format("{}|{}|{}|{}x{}{}|{}|sm_{}|{}", identity.model_sha256, identity.precision,
                  fmt::join(request.batches, ","), request.width, request.height,
                  request.half_pixels ? "|half pixels" : "", identity.device_name, identity.sm,
                  identity.multiprocessors);
  return fmt::format("{}/{}.plan", folder, to_hex(sha256(key)).substr(0, 32));
}

std::optional<Plan> find_cached_plan(const std::string& path, const PlanIdentity& identity,
                                     std::string& reason) {
  reason.clear();
  std::error_code ignored;
  if (path.empty() || !std::filesystem::exists(path, ignored)) return std::nullopt;
  try {
    Plan plan = read_plan(path);
    reason = plan_mismatch(plan.identity, identity);
    if (reason.empty() && plan.identity.model_sha256 != identity.model_sha256) {
      reason = "built from another model";
    }
    if (reason.empty()) return plan;
  } catch (const Error& unreadable) {
    reason = unreadable.code() == ErrorCode::kPlanMismatch ? "written by another version"
                                                           : "its file is damaged";
  }
  return std::nullopt;
}

std::string tactic_cache_path() {
  const std::string root = cache_folder();
  return root.empty() ? "" : root + "/tactics.txt";
}

}  // namespace peregrine::compiler
