// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/settings.h"
#include "pipeline/job.h"

namespace peregrine::pipeline {

/// What `settings` and the command's own arguments ask for. `model` is a path, the name of a
/// `[[models]]` table, or empty for the one table that is enabled. Reads the labels file. Throws
/// `Error(kUsage)` for a combination that makes no sense, `Error(kInputNotFound)` for a labels file
/// that is not there.
JobOptions job_options(const Settings& settings, const std::vector<std::string>& sources,
                       const std::string& model);

}  // namespace peregrine::pipeline
