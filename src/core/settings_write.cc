// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "core/settings.h"
#include "core/settings_keys.h"

namespace peregrine {
namespace {

// A file is read relative to itself, and nobody knows yet where this one will lie.
std::string absolute(const std::string& path) {
  if (path.empty()) return "";
  return std::filesystem::absolute(path).lexically_normal().string();
}

std::string key_line(const SettingKey& key, const Settings& settings) {
  const std::string name(key.name);
  const std::string value =
      key.input_path ? toml_string(absolute(value_text(key, settings))) : value_toml(key, settings);
  return fmt::format("{} = {}\n", name.substr(name.find('.') + 1), value);
}

std::string comment(const SettingKey& key) {
  const std::string range = range_text(key);
  return range.empty() ? fmt::format("# {}.\n", key.documentation)
                       : fmt::format("# {} ({}).\n", key.documentation, range);
}

void write_models(const Settings& settings, std::string& out) {
  for (const ModelSettings& model : settings.models) {
    out += fmt::format("\n[[models]]\nname = {}\npath = {}\n", toml_string(model.name),
                       toml_string(absolute(model.path)));
    if (!model.task.empty()) out += fmt::format("task = {}\n", toml_string(model.task));
    if (!model.labels.empty()) {
      out += fmt::format("labels = {}\n", toml_string(absolute(model.labels)));
    }
    out += fmt::format("enabled = {}\n", model.enabled);
    if (model.tracking) out += fmt::format("tracking = {}\n", *model.tracking);
    if (model.embeddings) out += fmt::format("embeddings = {}\n", *model.embeddings);
  }
}

}  // namespace

std::string to_toml(const Settings& settings, bool as_template) {
  const std::string off = as_template ? "# " : "";
  std::string out;
  std::string section;
  for (const SettingKey& key : setting_keys()) {
    const std::string name(key.name);
    const std::size_t dot = name.find('.');
    const std::string here = dot == std::string::npos ? "" : name.substr(0, dot);
    if (here != section) out += fmt::format("\n[{}]\n", here);
    section = here;
    if (as_template) out += comment(key);
    out += off + key_line(key, settings);
  }
  for (const auto& [klass, values] : settings.by_resolution) {
    // Later entries replace earlier ones, but TOML has each key once. What a stronger layer has
    // overruled stays out: in the file all would be of one layer.
    Settings scratch;
    std::map<std::string, std::string> lines;
    for (const SettingText& text : values) {
      if (text.origin.layer < settings.origin(text.key).layer) continue;
      const SettingKey& key = *find_setting_key(text.key);
      assign(key, text, scratch);
      lines[text.key] = value_toml(key, scratch);
    }
    if (!lines.empty()) out += fmt::format("\n[resolution.{}]\n", klass);
    for (const auto& [name, value] : lines) out += fmt::format("{} = {}\n", name, value);
  }
  write_models(settings, out);
  return out;
}

}  // namespace peregrine
