// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <atomic>
#include <mutex>

#include <spdlog/sinks/stdout_sinks.h>

namespace peregrine {
namespace {

std::mutex& registry_mutex() {
  static std::mutex mutex;
  return mutex;
}
std::atomic<spdlog::level::level_enum> current_level{spdlog::level::off};

}  // namespace

std::shared_ptr<spdlog::logger> logger(const char* component) {
  const std::lock_guard lock(registry_mutex());
  if (auto existing = spdlog::get(component)) return existing;
  auto created = spdlog::stderr_logger_mt(component);
  created->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %n %v");
  created->set_level(current_level);
  return created;
}

void set_log_level(spdlog::level::level_enum level) {
  const std::lock_guard lock(registry_mutex());
  current_level = level;
  spdlog::apply_all(
      [level](const std::shared_ptr<spdlog::logger>& each) { each->set_level(level); });
}

}  // namespace peregrine
