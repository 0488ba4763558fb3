// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <spdlog/spdlog.h>

namespace peregrine {

/// The component's logger ("video", "pipeline", ...): structured lines on stderr, "time level
/// component message". Nothing is logged per frame below debug, and a call that is off costs one
/// comparison. Loggers are silent in the library until `set_log_level` (the program calls it).
std::shared_ptr<spdlog::logger> logger(const char* component);
/// Applies to existing and later loggers.
void set_log_level(spdlog::level::level_enum level);

}  // namespace peregrine
