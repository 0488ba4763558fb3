// SPDX-License-Identifier: Apache-2.0
#include "core/cache_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace peregrine {
namespace {

namespace fs = std::filesystem;

// The XDG specification has relative paths ignored.
fs::path cache_home() {
  if (const char* named = std::getenv("XDG_CACHE_HOME"); named && fs::path(named).is_absolute()) {
    return named;
  }
  const char* home = std::getenv("HOME");
  return home && fs::path(home).is_absolute() ? fs::path(home) / ".cache" : fs::path();
}

}  // namespace

std::string cache_folder() {
  const fs::path home = cache_home();
  if (home.empty()) return "";
  std::error_code failure;
  fs::create_directories(home, failure);
  const std::string folder = (home / "peregrine").string();
  ::mkdir(folder.c_str(), 0700);
  // What stands in a cache is run: another user's folder is not ours to trust.
  struct stat status {};
  const bool ours = ::stat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                    status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  return ours && ::access(folder.c_str(), W_OK) == 0 ? folder : "";
}

}  // namespace peregrine
