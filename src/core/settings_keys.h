// SPDX-License-Identifier: Apache-2.0
// The table behind configuration: one row a key. Parsing, ranges, flags, `config keys` and the
// manual's table all come from it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/settings.h"

namespace peregrine {

using SettingField =
    std::variant<bool*, int*, double*, std::string*, std::vector<int>*, std::optional<bool>*>;

struct SettingKey {
  const char* name;               ///< "inference.batch"
  const char* flag;               ///< "--batch"; null: reached with --set
  const char* documentation;      ///< one line, no full stop
  double min = 0, max = 0;        ///< of numbers, both included
  bool zero_is_auto = false;      ///< "auto" is accepted and shown for 0
  bool by_resolution = false;     ///< may stand in [resolution.*]
  bool input_path = false;        ///< a file to read: relative to the TOML file that names it
  std::string_view choices = {};  ///< "auto|fp32|fp16"; of text; empty: any
  std::string_view unit = {};     ///< may follow a number: "10ms"
  SettingField (*field)(Settings&);
};

std::span<const SettingKey> setting_keys();
/// Null when there is none of that name.
const SettingKey* find_setting_key(std::string_view name);

/// "PEREGRINE_INFERENCE_BATCH" of "inference.batch".
std::string environment_name(std::string_view key);
/// "true or false", "integer", "number", "text", "list of integers".
std::string type_name(const SettingKey& key);
/// "0 to 1", "auto, or 1 to 256", "auto|fp32|fp16"; empty when anything goes.
std::string range_text(const SettingKey& key);
/// The value of `key` in `settings` as `config show` prints it and a flag would take it.
std::string value_text(const SettingKey& key, const Settings& settings);
/// The same as TOML: text quoted.
std::string value_toml(const SettingKey& key, const Settings& settings);

/// Checks and stores one value. Throws `Error(kInvalidConfig)` with the origin's place, the value
/// and the range.
void assign(const SettingKey& key, const SettingText& text, Settings& settings);

/// The keys of one `[[models]]` table, and their field in it.
struct ModelKey {
  const char* name;
  const char* documentation;
  std::string_view choices = {};
  bool input_path = false;
  SettingField (*field)(ModelSettings&);
};
std::span<const ModelKey> model_keys();
void assign(const ModelKey& key, const SettingText& text, ModelSettings& model);

/// "; did you mean 'inference.batch'?" when a name of `known` is near enough, else "".
std::string suggestion(std::string_view name, const std::vector<std::string>& known);

/// Quoted and escaped as a TOML basic string.
std::string toml_string(std::string_view text);

}  // namespace peregrine
