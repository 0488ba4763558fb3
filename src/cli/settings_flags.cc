// SPDX-License-Identifier: Apache-2.0
#include "cli/settings_flags.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "core/settings_keys.h"
#include "engine/factory.h"
#include "peregrine/error.h"

namespace peregrine::cli {
namespace {

bool is_switch(const SettingKey& key) {
  Settings any;
  return std::holds_alternative<bool*>(key.field(any));
}

// "Settings: inference" from "inference.batch".
std::string group(const SettingKey& key) {
  const std::string_view name = key.name;
  const std::size_t dot = name.find('.');
  return fmt::format("Settings: {}",
                     dot == std::string_view::npos ? "profile" : name.substr(0, dot));
}

std::string describe(const SettingKey& key) {
  const std::string range = range_text(key);
  return range.empty() ? key.documentation : fmt::format("{} ({})", key.documentation, range);
}

}  // namespace

SettingsFlags::SettingsFlags(CLI::App& command, Own own) : parsed_(std::make_shared<Parsed>()) {
  const auto parsed = parsed_;
  command.add_option("--config", parsed->file, "Configuration file (TOML)")
      ->type_name("FILE")
      ->group("Settings");
  command
      .add_option_function<std::vector<std::string>>(
          "--set",
          [parsed](const std::vector<std::string>& pairs) {
            for (const std::string& pair : pairs) {
              const std::size_t equals = pair.find('=');
              if (equals == std::string::npos) {
                throw Error(
                    ErrorCode::kUsage,
                    fmt::format("--set {}: give KEY=VALUE, such as inference.batch=4", pair));
              }
              parsed->values.push_back({pair.substr(0, equals),
                                        pair.substr(equals + 1),
                                        {SettingLayer::kFlag, "--set"}});
            }
          },
          "Set any key of 'peregrine config keys'")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Settings");
  for (const SettingKey& key : setting_keys()) {
    if (!key.flag || own == Own::kSetOnly) continue;
    const auto take = [parsed, &key](const std::string& value, const std::string& flag) {
      parsed->values.push_back({key.name, value, {SettingLayer::kFlag, flag}});
    };
    const std::string flag = key.flag;
    if (is_switch(key)) {
      const std::string no = fmt::format("--no-{}", flag.substr(2));
      command
          .add_flag_function(
              fmt::format("{},!{}", flag, no),
              [take, flag, no](std::int64_t count) {
                count > 0 ? take("true", flag) : take("false", no);
              },
              describe(key))
          ->group(group(key));
    } else {
      // The last of several counts, as between layers.
      command
          .add_option_function<std::string>(
              flag, [take, flag](const std::string& value) { take(value, flag); }, describe(key))
          ->type_name("")
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
          ->group(group(key));
    }
  }
}

SettingsInputs SettingsFlags::inputs() const {
  SettingsInputs inputs = process_inputs();
  inputs.file = parsed_->file;
  inputs.flags = parsed_->values;
  inputs.cuda_engine = engine::has_cuda_engine();
  return inputs;
}

Settings SettingsFlags::settings() const { return resolve(inputs()); }

}  // namespace peregrine::cli
