// SPDX-License-Identifier: Apache-2.0
// The only file that knows toml++ (its header costs seconds to compile).
#include "core/settings_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include "peregrine/error.h"

namespace peregrine {
namespace {

class Reader {
 public:
  Reader(std::string path, SettingsFile& file) : path_(std::move(path)), file_(file) {}

  void read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      if (key.str() == "models") {
        read_models(node);
      } else {
        flatten(std::string(key.str()), node, file_.values);
      }
    }
  }

 private:
  SettingOrigin origin(const toml::node& node) const {
    return {SettingLayer::kFile, fmt::format("{}:{}", path_, node.source().begin.line)};
  }

  [[noreturn]] void refuse(const toml::node& node, const std::string& problem) const {
    throw Error(ErrorCode::kInvalidConfig, fmt::format("{}: {}", origin(node).place, problem));
  }

  void read_models(const toml::node& node) {
    const toml::array* tables = node.as_array();
    if (!tables || !tables->is_homogeneous(toml::node_type::table)) {
      refuse(node, "'models' must be [[models]] tables, one a model");
    }
    for (const toml::node& table : *tables) {
      std::vector<SettingText> values;
      for (const auto& [key, value] : *table.as_table()) {
        flatten(std::string(key.str()), value, values);
      }
      file_.models.push_back(std::move(values));
    }
  }

  void flatten(const std::string& name, const toml::node& node, std::vector<SettingText>& to) {
    if (const toml::table* table = node.as_table()) {
      for (const auto& [key, value] : *table) {
        flatten(fmt::format("{}.{}", name, key.str()), value, to);
      }
      return;
    }
    to.push_back({name, text_of(name, node), origin(node)});
  }

  std::string text_of(const std::string& name, const toml::node& node) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    const toml::array* list = node.as_array();
    if (!list) refuse(node, fmt::format("'{}' cannot be a date or time", name));
    std::string joined;
    for (const toml::node& item : *list) {
      if (item.is_array() || item.is_table()) {
        refuse(item, fmt::format("'{}' cannot hold lists or tables", name));
      }
      if (!joined.empty()) joined += ',';
      joined += text_of(name, item);
    }
    return joined;
  }

  std::string path_;
  SettingsFile& file_;
};

}  // namespace

SettingsFile read_settings_file(const std::string& path) {
  SettingsFile file;
  try {
    Reader(path, file).read(toml::parse_file(path));
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    throw Error(ErrorCode::kInvalidConfig,
                line > 0 ? fmt::format("{}:{}: not valid TOML: {}", path, line, error.description())
                         : fmt::format("{}: cannot be read: {}", path, error.description()));
  }
  return file;
}

}  // namespace peregrine
