// SPDX-License-Identifier: Apache-2.0
// peregrine config show|init|save|keys
#include <filesystem>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/settings_flags.h"
#include "core/profiles.h"
#include "core/settings_keys.h"
#include "peregrine/error.h"

namespace peregrine::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Numbers and switches as such, text as text.
Json value_json(const SettingKey& key, const Settings& settings) {
  return Json::parse(value_toml(key, settings));  // for one value, TOML's notation is JSON's
}

Json model_json(const ModelSettings& model) {
  Json json = {{"name", model.name}, {"path", model.path}, {"enabled", model.enabled}};
  if (!model.task.empty()) json["task"] = model.task;
  if (!model.labels.empty()) json["labels"] = model.labels;
  if (model.tracking) json["tracking"] = *model.tracking;
  if (model.embeddings) json["embeddings"] = *model.embeddings;
  return json;
}

std::string show_json(const Settings& settings) {
  Json json;
  json["schema"] = 1;
  json["profile"] = {{"used", settings.profile_used}, {"reason", settings.profile_reason}};
  json["file"] = settings.file.empty() ? Json() : Json(settings.file);
  for (const SettingKey& key : setting_keys()) {
    json["settings"][key.name] = {{"value", value_json(key, settings)},
                                  {"origin", settings.origin(key.name).place}};
  }
  json["resolution"] = Json::object();
  for (const auto& [klass, values] : settings.by_resolution) {
    for (const SettingText& text : values) {
      json["resolution"][klass][text.key] = {{"value", text.value}, {"origin", text.origin.place}};
    }
  }
  json["models"] = Json::array();
  for (const ModelSettings& model : settings.models) json["models"].push_back(model_json(model));
  return json.dump(2) + "\n";
}

std::string or_global(const std::optional<bool>& choice) {
  return choice ? (*choice ? "true" : "false") : "as set above";
}

std::string show_text(const Settings& settings) {
  std::string out =
      fmt::format("profile {}: {}\nfile {}\n\n", settings.profile_used, settings.profile_reason,
                  settings.file.empty() ? "none" : settings.file);
  Table table({"KEY", "VALUE", "FROM"});
  for (const SettingKey& key : setting_keys()) {
    const std::string value = value_text(key, settings);
    table.add({key.name, value.empty() ? "-" : value, settings.origin(key.name).place});
  }
  for (const auto& [klass, values] : settings.by_resolution) {
    for (const SettingText& text : values) {
      table.add({fmt::format("resolution.{}.{}", klass, text.key), text.value, text.origin.place});
    }
  }
  out += table.text();
  if (settings.models.empty()) return out;
  Table models({"MODEL", "PATH", "TASK", "ENABLED", "TRACKING", "EMBEDDINGS"});
  for (const ModelSettings& model : settings.models) {
    models.add({model.name, model.path, model.task.empty() ? "as set above" : model.task,
                model.enabled ? "true" : "false", or_global(model.tracking),
                or_global(model.embeddings)});
  }
  return out + "\n" + models.text();
}

std::string keys_json() {
  Json json = Json::array();
  for (const SettingKey& key : setting_keys()) {
    const Settings defaults;
    json.push_back({{"key", key.name},
                    {"type", type_name(key)},
                    {"range", range_text(key)},
                    {"default", value_json(key, defaults)},
                    {"environment", environment_name(key.name)},
                    {"flag", key.flag ? Json(key.flag) : Json()},
                    {"by_resolution", key.by_resolution},
                    {"documentation", key.documentation}});
  }
  return json.dump(2) + "\n";
}

std::string keys_text() {
  Table table({"KEY", "FLAG", "TYPE", "DEFAULT", "RANGE", "WHAT IT DOES"});
  for (const SettingKey& key : setting_keys()) {
    const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
    table.add({key.name, key.flag ? key.flag : "-", type_name(key),
               or_dash(value_text(key, Settings{})), or_dash(range_text(key)), key.documentation});
  }
  return table.text();
}

// The table of docs/configuration.md; a test compares the two.
std::string keys_markdown() {
  const auto code = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
      text.replace(at, 1, "\\|");
    }
    return text.empty() ? text : fmt::format("`{}`", text);
  };
  std::string out =
      "| key | flag | type, range | default | what it does |\n|---|---|---|---|---|\n";
  for (const SettingKey& key : setting_keys()) {
    const std::string range = range_text(key);
    out += fmt::format(
        "| `{}` | {} | {}{} | {} | {}{} |\n", key.name, code(key.flag ? key.flag : ""),
        type_name(key), range.empty() ? "" : ": " + code(range), code(value_text(key, Settings{})),
        key.documentation, key.by_resolution ? " (may depend on the resolution)" : "");
  }
  return out;
}

void write_file(const std::string& path, const std::string& text, bool overwrite) {
  if (!overwrite && fs::exists(path)) {
    throw Error(ErrorCode::kUsage, fmt::format("'{}' exists; add --force to replace it", path));
  }
  // Beside the file, then renamed: a full disk leaves the old one whole.
  const std::string temporary = path + ".tmp";
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  if (file) fs::rename(temporary, path, error);
  if (!file || error) {
    fs::remove(temporary, error);
    throw Error(ErrorCode::kOutput,
                fmt::format("'{}' cannot be written; check that its folder exists, is writable and "
                            "not full",
                            path));
  }
}

constexpr const char* kTemplateHead =
    "# Peregrine's configuration: remove the '#' of a line and change its value.\n"
    "# 'peregrine config show' tells what is in force, and where each value comes from.\n\n";
constexpr const char* kTemplateTail =
    "\n# Values for videos of one class of resolution: 1080p, 4k or 8k.\n"
    "# [resolution.4k]\n# inference.batch = 4\n# input.queue_depth = 2\n"
    "\n# A model that runs when no --model is given; more may follow.\n"
    "# [[models]]\n# path = \"yolo11n.onnx\"\n# task = \"auto\"\n# tracking = true\n";

struct Options {
  std::optional<SettingsFlags> flags;  // of show and save
  std::string path;
  std::string resolution;
  bool json = false;
  bool markdown = false;
  bool force = false;
};

// "3840x2160" to its two numbers.
std::pair<int, int> parse_resolution(const std::string& text) {
  int width = 0, height = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%6dx%6d%c", &width, &height, &rest) != 2 || width < 1 ||
      height < 1) {
    throw Error(ErrorCode::kUsage,
                fmt::format("--resolution {}: give WIDTHxHEIGHT, such as 3840x2160", text));
  }
  return {width, height};
}

int show(const Options& options) {
  Settings settings = options.flags->settings();
  if (!options.resolution.empty()) {
    const auto [width, height] = parse_resolution(options.resolution);
    settings = settings.for_resolution(width, height);
    settings.by_resolution.clear();
  }
  print(options.json ? show_json(settings) : show_text(settings));
  return 0;
}

int init(const Options& options) {
  write_file(options.path, kTemplateHead + to_toml(Settings{}, true) + kTemplateTail,
             options.force);
  print(fmt::format("wrote {}\n", options.path));
  return 0;
}

int save(const Options& options) {
  Settings settings = options.flags->settings();
  const std::string head =
      fmt::format("# In force on {}: {}.\n\n", settings.profile_used, settings.profile_reason);
  settings.profile = settings.profile_used;  // another machine must not choose another
  write_file(options.path, head + to_toml(settings, false), options.force);
  print(fmt::format("wrote {}\n", options.path));
  return 0;
}

int keys(const Options& options) {
  print(options.json ? keys_json() : options.markdown ? keys_markdown() : keys_text());
  return 0;
}

struct Command {
  CLI::App* app;
  std::shared_ptr<Options> options;
};

Command add(CLI::App& config, const char* name, const char* description, Action& action,
            int (*run)(const Options&)) {
  Command command{config.add_subcommand(name, description), std::make_shared<Options>()};
  command.app->callback([&action, options = command.options, run] {
    action = [options, run] { return run(*options); };
  });
  return command;
}

}  // namespace

void add_config(CLI::App& program, Action& action) {
  CLI::App* config = program.add_subcommand("config", "Show, write and explain the configuration");
  config->require_subcommand(1);

  const Command shown =
      add(*config, "show", "Each value in force and where it comes from", action, show);
  shown.app->add_flag("--json", shown.options->json, "Print JSON");
  shown.app->add_option("--resolution", shown.options->resolution, "For a video of that size")
      ->type_name("WIDTHxHEIGHT");
  shown.options->flags.emplace(*shown.app);

  const Command begun = add(*config, "init", "Write a commented file to start from", action, init);
  begun.options->path = "peregrine.toml";
  begun.app->add_option("file", begun.options->path, "Where to")->capture_default_str();
  begun.app->add_flag("--force", begun.options->force, "Replace an existing file");

  const Command saved = add(*config, "save", "Write what is in force to a file", action, save);
  saved.app->add_option("file", saved.options->path, "Where to")->required();
  saved.app->add_flag("--force", saved.options->force, "Replace an existing file");
  saved.options->flags.emplace(*saved.app);

  const Command listed =
      add(*config, "keys", "Every key, its flag, range and meaning", action, keys);
  listed.app->add_flag("--json", listed.options->json, "Print JSON");
  listed.app->add_flag("--markdown", listed.options->markdown, "Print the manual's table");
}

}  // namespace peregrine::cli
