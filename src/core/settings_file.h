// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/settings.h"

namespace peregrine {

/// A TOML file, flattened: every value as text under its dotted name, with file and line.
struct SettingsFile {
  std::vector<SettingText> values;
  std::vector<std::vector<SettingText>> models;  ///< one list a [[models]] table, keys bare
};

/// Throws `Error(kInvalidConfig)` where the file cannot be read or is no TOML, with the line.
/// Whether the keys exist is for the caller to check.
SettingsFile read_settings_file(const std::string& path);

}  // namespace peregrine
