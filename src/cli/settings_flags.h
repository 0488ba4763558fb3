// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/settings.h"

namespace CLI {
class App;
}

namespace peregrine::cli {

/// The flags of the settings table on a subcommand: --config FILE, --set KEY=VALUE for any key, and
/// unless `kSetOnly` each key's own flag (a switch gets --no-FLAG beside it). Copies share what was
/// parsed.
class SettingsFlags {
 public:
  enum class Own { kEach, kSetOnly };
  explicit SettingsFlags(CLI::App& command, Own own = Own::kEach);

  /// Environment, files, machine, and the flags that were given.
  SettingsInputs inputs() const;
  /// `inputs()` resolved.
  Settings settings() const;

 private:
  struct Parsed {
    std::string file;
    std::vector<SettingText> values;
  };
  std::shared_ptr<Parsed> parsed_;
};

}  // namespace peregrine::cli
