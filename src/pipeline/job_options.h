// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/settings.h"
#include "pipeline/job.h"

namespace peregrine::pipeline {

/// `settings` with the `[resolution.*]` values for the first source's size, when it is a file that
/// opens; a pipe or camera is not opened twice. A source that fails is reported when it is run.
Settings settings_for_sources(const Settings& settings, const std::vector<std::string>& sources);

/// What `settings` and the command's own arguments ask for. `models` are paths or names of
/// `[[models]]` tables; none: every table that is enabled. Switches of a table (tracking,
/// embeddings) count for the first. Reads the labels files. Throws
/// `Error(kUsage)` for a combination that makes no sense, `Error(kInputNotFound)` for a labels file
/// that is not there.
JobOptions job_options(const Settings& settings, const std::vector<std::string>& sources,
                       const std::vector<std::string>& models);

}  // namespace peregrine::pipeline
