// SPDX-License-Identifier: Apache-2.0
// Plan files (docs/plans.md has the layout): data only. A reader looks at magic, version, sizes,
// SHA-256 of every section and every offset before it takes memory for what they describe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "compiler/plan.h"
#include "peregrine/task.h"

namespace peregrine::compiler {

/// Whether a file is to be read as a plan: it begins like one, or is called ".plan".
bool is_plan_file(const std::string& path);

/// Writes a plan: a file of that name appears whole or not at all, and replaces one that is there.
/// Throws `Error(kOutput)`; `Error(kInternal)` for a plan that no reader would accept.
void write_plan(const Plan& plan, const std::string& path);

/// Reads a plan. Throws, with the command that makes it anew, `Error(kModelInvalid)` for a file
/// that is missing, no plan, cut off or damaged, and `Error(kPlanMismatch)` for one of another
/// format version. Cost: the weights are read and hashed by several threads, about 1.5 GB/s each.
Plan read_plan(const std::string& path);

/// A plan without its weights, which stay unread: what `inspect` shows.
struct PlanSummary {
  Plan plan;
  std::size_t weights_bytes = 0;
  std::uint64_t file_bytes = 0;
};
/// Throws like `read_plan`.
PlanSummary read_plan_summary(const std::string& path);

/// What `read_model_info` tells of an ONNX file, of a plan or an ONNX file. Throws like them.
ModelInfo read_model_or_plan_info(const std::string& path);

/// Why a plan must not run on a machine, in one line such as "built for NVIDIA H200 (sm_90), this
/// is NVIDIA L4 (sm_89)"; empty when it may. Of `here` only device, driver, runtime and Peregrine's
/// version matter.
std::string plan_mismatch(const PlanIdentity& plan, const PlanIdentity& here);

/// What makes the plan at `path` anew: "peregrine build yolo11n.onnx -o yolo11n.plan --batch 1,8".
std::string rebuild_command(const Plan& plan, const std::string& path);

}  // namespace peregrine::compiler
