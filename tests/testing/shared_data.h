// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace peregrine::testing {

/// The folder of models and videos that stands beside the checkout and is never part of it:
/// $PEREGRINE_SHARED, or shared/ inside or beside the repository. Empty when there is none.
inline std::filesystem::path shared_folder() {
  if (const char* named = std::getenv("PEREGRINE_SHARED")) return named;
  const std::filesystem::path root = PEREGRINE_SOURCE_DIR;
  for (const auto& candidate : {root / "shared", root.parent_path() / "shared"}) {
    if (std::filesystem::exists(candidate / "models")) return candidate;
  }
  return {};
}

/// Path of a shared file; skips the running test, visibly, where it is not there.
#define PEREGRINE_SHARED_FILE(variable, relative)                                             \
  const std::string variable = (::peregrine::testing::shared_folder() / (relative)).string(); \
  if (::peregrine::testing::shared_folder().empty() || !std::filesystem::exists(variable))    \
  GTEST_SKIP() << "needs shared/" << (relative)

}  // namespace peregrine::testing
