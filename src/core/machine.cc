// SPDX-License-Identifier: Apache-2.0
#include "core/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include <fmt/format.h>

namespace peregrine {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// Value of "key<spaces>:<spaces>value" in /proc/cpuinfo and /proc/meminfo.
std::string proc_value(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || !line.starts_with(key)) continue;
    if (line.find_first_not_of(" \t", key.size()) != colon) continue;
    const std::size_t value = line.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

std::int64_t memory_value(const fs::path& meminfo, std::string_view key) {
  std::int64_t kibibytes = 0;
  std::istringstream(proc_value(meminfo, key)) >> kibibytes;
  return kibibytes * 1024;
}

// Folders that may hold this process's limits: its own cgroup and every ancestor, since any of
// them may be the one that limits. Inside a container the path named in /proc/self/cgroup is often
// the host's and does not exist; the walk then ends at the mount's root, which is the container's.
std::vector<fs::path> cgroup_folders(const fs::path& root, std::string_view controller) {
  const bool unified = fs::exists(root / "sys/fs/cgroup/cgroup.controllers");
  const fs::path mount =
      unified ? root / "sys/fs/cgroup" : root / "sys/fs/cgroup" / fs::path(controller);
  std::string own;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "id:controllers:path"
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const bool mine =
        unified ? names == ",," : names.find(fmt::format(",{},", controller)) != std::string::npos;
    if (mine) own = line.substr(second + 1);
  }
  std::vector<fs::path> folders;
  for (fs::path relative = fs::path(own).relative_path(); !relative.empty();
       relative = relative.parent_path()) {
    if (fs::exists(mount / relative)) folders.push_back(mount / relative);
  }
  folders.push_back(mount);
  return folders;
}

double cpu_quota(const fs::path& root) {
  double least = 0;
  for (const fs::path& folder : cgroup_folders(root, "cpu")) {
    double quota = 0, period = 0;
    if (const auto v2 = first_line(folder / "cpu.max")) {  // "max 100000" or "150000 100000"
      std::istringstream(*v2) >> quota >> period;
    } else if (const auto v1 = first_line(folder / "cpu.cfs_quota_us")) {  // -1: no limit
      std::istringstream(*v1) >> quota;
      std::istringstream(first_line(folder / "cpu.cfs_period_us").value_or("0")) >> period;
    }
    if (quota > 0 && period > 0 && (least == 0 || quota / period < least)) least = quota / period;
  }
  return least;
}

struct MemoryLimit {
  std::int64_t limit = 0;  // 0: none
  std::int64_t used = 0;
};

MemoryLimit memory_limit(const fs::path& root) {
  MemoryLimit least;
  for (const fs::path& folder : cgroup_folders(root, "memory")) {
    const bool v2 = fs::exists(folder / "memory.max");
    const auto limit_text = first_line(folder / (v2 ? "memory.max" : "memory.limit_in_bytes"));
    MemoryLimit here;
    if (limit_text) std::istringstream(*limit_text) >> here.limit;  // "max" leaves 0
    const auto used = first_line(folder / (v2 ? "memory.current" : "memory.usage_in_bytes"));
    if (used) std::istringstream(*used) >> here.used;
    if (here.limit > 0 && (least.limit == 0 || here.limit < least.limit)) least = here;
  }
  return least;
}

std::vector<std::string> simd_extensions(const fs::path& cpuinfo) {
  std::string flags = proc_value(cpuinfo, "flags");            // x86
  if (flags.empty()) flags = proc_value(cpuinfo, "Features");  // Arm
  flags = fmt::format(" {} ", flags);
  constexpr std::array kKnown = {
      "sse4_2",      "avx",         "avx2",        "fma",      "f16c",     "avx_vnni", "avx512f",
      "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "asimd",
      "asimdhp",     "asimddp",     "sve",         "sve2",     "i8mm",     "bf16"};
  std::vector<std::string> found;
  for (const char* name : kKnown) {
    if (flags.find(fmt::format(" {} ", name)) != std::string::npos) found.emplace_back(name);
  }
  return found;
}

int affinity_cores(int fallback) {
  // A fixed cpu_set_t holds 1024 processors; larger machines fail with EINVAL and use the total.
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return fallback;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

HostResources probe_host(const std::string& root_folder) {
  const fs::path root = root_folder;
  HostResources host;
  host.cpu_model = proc_value(root / "proc/cpuinfo", "model name");
  if (host.cpu_model.empty()) host.cpu_model = "unknown";
  utsname system{};
  if (uname(&system) == 0) host.architecture = system.machine;
  host.simd = simd_extensions(root / "proc/cpuinfo");

  host.machine_cores = static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  host.affinity_cores = affinity_cores(host.machine_cores);
  host.quota_cores = cpu_quota(root);
  host.cores = host.affinity_cores;
  // A quota of 1.5 runs two threads better than one; a fraction below a tenth is not worth one.
  if (host.quota_cores > 0) {
    host.cores =
        std::clamp(static_cast<int>(std::ceil(host.quota_cores - 0.1)), 1, host.affinity_cores);
  }

  host.memory_bytes = memory_value(root / "proc/meminfo", "MemTotal");
  host.memory_available_bytes = memory_value(root / "proc/meminfo", "MemAvailable");
  const MemoryLimit limit = memory_limit(root);
  if (limit.limit > 0 && limit.limit < host.memory_bytes) {
    host.memory_bytes = limit.limit;
    host.memory_available_bytes =
        std::clamp<std::int64_t>(limit.limit - limit.used, 0, host.memory_available_bytes);
  }
  return host;
}

int usable_cores() {
  static const int cores = probe_host().cores;
  return cores;
}

double process_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Machine probe_machine() { return {probe_host(), probe_gpus()}; }

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format(fmt::runtime(unit == 0 || value >= 100 ? "{:.0f} {}" : "{:.1f} {}"), value,
                     kUnits[unit]);
}

}  // namespace peregrine
