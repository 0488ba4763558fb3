// SPDX-License-Identifier: Apache-2.0
#include "core/settings.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/profiles.h"
#include "core/settings_file.h"
#include "core/settings_keys.h"
#include "peregrine/error.h"

extern char** environ;

namespace peregrine {
namespace {

namespace fs = std::filesystem;

constexpr std::array kResolutionClasses = {"1080p", "4k", "8k"};
constexpr std::string_view kResolution = "resolution.";
constexpr std::string_view kModels = "models.";
constexpr const char* kConfigVariable = "PEREGRINE_CONFIG";

[[noreturn]] void refuse(const std::string& place, const std::string& problem) {
  throw Error(ErrorCode::kInvalidConfig, fmt::format("{}: {}", place, problem));
}

std::vector<std::string> key_names(bool only_by_resolution = false) {
  std::vector<std::string> names;
  for (const SettingKey& key : setting_keys()) {
    if (key.by_resolution || !only_by_resolution) names.emplace_back(key.name);
  }
  return names;
}

std::vector<std::string> model_key_names() {
  std::vector<std::string> names;
  for (const ModelKey& key : model_keys()) names.emplace_back(key.name);
  return names;
}

std::string model_names(const Settings& settings) {
  std::vector<std::string> names;
  for (const ModelSettings& model : settings.models) names.push_back(model.name);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

void apply_to_resolution(const SettingText& text, Settings& settings) {
  const std::string_view rest = std::string_view(text.key).substr(kResolution.size());
  const std::string klass(rest.substr(0, rest.find('.')));
  if (std::find(kResolutionClasses.begin(), kResolutionClasses.end(), klass) ==
      kResolutionClasses.end()) {
    refuse(text.origin.place, fmt::format("unknown resolution '{}' in '{}'; there are: {}", klass,
                                          text.key, fmt::join(kResolutionClasses, ", ")));
  }
  const std::string name(rest.substr(std::min(rest.size(), klass.size() + 1)));
  const SettingKey* key = find_setting_key(name);
  if (!key || !key->by_resolution) {
    refuse(text.origin.place,
           fmt::format("'{}' cannot depend on the resolution{}; these can: {}", name,
                       suggestion(name, key_names(true)), fmt::join(key_names(true), ", ")));
  }
  Settings scratch;
  assign(*key, text, scratch);
  settings.by_resolution[klass].push_back({name, text.value, text.origin});
}

void apply_to_model(const SettingText& text, Settings& settings) {
  const std::size_t dot = text.key.rfind('.');
  const std::string name =
      dot < kModels.size() ? "" : text.key.substr(kModels.size(), dot - kModels.size());
  const std::string switch_name = text.key.substr(dot + 1);
  for (ModelSettings& model : settings.models) {
    if (model.name != name) continue;
    for (const ModelKey& key : model_keys()) {
      if (switch_name == key.name) return assign(key, text, model);
    }
    refuse(text.origin.place, fmt::format("unknown key '{}' of a model{}", switch_name,
                                          suggestion(switch_name, model_key_names())));
  }
  refuse(text.origin.place, fmt::format("no [[models]] table is named '{}' (there are: {})", name,
                                        model_names(settings)));
}

void apply(const SettingText& text, Settings& settings) {
  if (text.key.starts_with(kResolution)) return apply_to_resolution(text, settings);
  if (text.key.starts_with(kModels)) return apply_to_model(text, settings);
  const SettingKey* key = find_setting_key(text.key);
  if (!key) {
    refuse(text.origin.place, fmt::format("unknown key '{}'{} ('peregrine config keys' lists all)",
                                          text.key, suggestion(text.key, key_names())));
  }
  assign(*key, text, settings);
  settings.origins[text.key] = text.origin;
}

// A file that names another file to read means one beside itself, not one beside the caller.
void anchor(SettingText& text, const std::string& file) {
  if (!text.value.empty()) text.value = (fs::path(file).parent_path() / text.value).string();
}

ModelSettings make_model(std::vector<SettingText> values, const std::string& file) {
  ModelSettings model;
  std::string place = file;
  for (SettingText& text : values) {
    place = text.origin.place;
    const auto keys = model_keys();
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [&](const ModelKey& each) { return text.key == each.name; });
    if (key == keys.end()) {
      refuse(place, fmt::format("unknown key '{}' of a model{}", text.key,
                                suggestion(text.key, model_key_names())));
    }
    if (key->input_path) anchor(text, file);
    assign(*key, text, model);
  }
  if (model.path.empty()) refuse(place, "a [[models]] table needs a 'path'");
  if (model.name.empty()) model.name = fs::path(model.path).stem().string();
  return model;
}

void apply_file(const std::string& path, SettingsFile file, Settings& settings) {
  for (std::vector<SettingText>& values : file.models) {
    const std::string place = values.empty() ? path : values.front().origin.place;
    ModelSettings model = make_model(std::move(values), path);
    for (const ModelSettings& other : settings.models) {
      if (other.name == model.name) {
        refuse(place,
               fmt::format("two models are named '{}'; give one another 'name'", model.name));
      }
    }
    settings.models.push_back(std::move(model));
  }
  for (SettingText& text : file.values) {
    const SettingKey* key = find_setting_key(text.key);
    if (key && key->input_path) anchor(text, path);
    apply(text, settings);
  }
}

// Every name that an environment variable may set, as a key.
std::vector<std::string> environment_keys(const Settings& settings) {
  std::vector<std::string> keys = key_names();
  for (const char* klass : kResolutionClasses) {
    for (const std::string& name : key_names(true)) {
      keys.push_back(fmt::format("{}{}.{}", kResolution, klass, name));
    }
  }
  for (const ModelSettings& model : settings.models) {
    for (const std::string& name : model_key_names()) {
      keys.push_back(fmt::format("{}{}.{}", kModels, model.name, name));
    }
  }
  return keys;
}

// A variable that sets nothing is refused where it begins with a section's name: it was meant to.
// Others (PEREGRINE_SHARED of the tests) are none of ours.
void check_unknown_variable(const std::string& name, const std::vector<std::string>& known) {
  std::vector<std::string> names;
  bool in_section = name.starts_with("PEREGRINE_MODELS_");
  for (const std::string& key : known) {
    names.push_back(environment_name(key));
    const std::size_t dot = key.find('.');
    in_section = in_section || (dot != std::string::npos &&
                                name.starts_with(environment_name(key.substr(0, dot + 1))));
  }
  if (in_section) {
    refuse(name, fmt::format("no setting has this variable{}", suggestion(name, names)));
  }
}

std::vector<SettingText> environment_values(const SettingsInputs& inputs,
                                            const Settings& settings) {
  const std::vector<std::string> keys = environment_keys(settings);
  std::vector<SettingText> values;
  for (const auto& [name, value] : inputs.environment) {
    if (!name.starts_with("PEREGRINE_") || name == kConfigVariable) continue;
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const std::string& each) {
      return environment_name(each) == name;
    });
    if (key == keys.end()) {
      check_unknown_variable(name, keys);
    } else {
      values.push_back({*key, value, {SettingLayer::kEnvironment, name}});
    }
  }
  return values;
}

std::string find_file(const SettingsInputs& inputs) {
  std::string file = inputs.file;
  for (const auto& [name, value] : inputs.environment) {
    if (file.empty() && name == kConfigVariable) file = value;
  }
  if (!file.empty()) {
    if (!fs::is_regular_file(file)) {
      throw Error(ErrorCode::kInvalidConfig,
                  fmt::format("configuration file '{}' does not exist; 'peregrine config init {}' "
                              "writes one",
                              file, file));
    }
    return file;
  }
  for (const std::string& candidate : inputs.default_files) {
    if (fs::is_regular_file(candidate)) return candidate;
  }
  return "";
}

void apply_profile(const SettingsInputs& inputs, Settings& settings) {
  settings.profile_used = settings.profile;
  settings.profile_reason = "asked for by " + settings.origin("profile").place;
  if (settings.profile == "auto") {
    ProfileChoice choice = choose_profile(inputs.machine, inputs.cuda_engine);
    settings.profile_used = std::move(choice.name);
    settings.profile_reason = std::move(choice.reason);
  }
  const SettingOrigin origin{SettingLayer::kProfile, "profile " + settings.profile_used};
  for (const ProfileValue& each : find_profile(settings.profile_used).values) {
    apply({each.key, each.value, origin}, settings);
  }
}

// Says that the first of a pair, which must not be above the second, is.
[[noreturn]] void refuse_order(const Settings& settings, const char* low, const char* high) {
  const SettingKey* low_key = find_setting_key(low);
  const SettingKey* high_key = find_setting_key(high);
  refuse(
      settings.origin(settings.origin(low).layer > settings.origin(high).layer ? low : high).place,
      fmt::format("{} = {} ({}) is above {} = {} ({})", low, value_text(*low_key, settings),
                  settings.origin(low).place, high, value_text(*high_key, settings),
                  settings.origin(high).place));
}

void check_together(const Settings& s) {
  if (s.tracking.low_threshold > s.tracking.high_threshold) {
    refuse_order(s, "tracking.low_threshold", "tracking.high_threshold");
  }
  if (s.rtsp.backoff_min_seconds > s.rtsp.backoff_max_seconds) {
    refuse_order(s, "rtsp.backoff_min_seconds", "rtsp.backoff_max_seconds");
  }
  if (s.input.end_seconds > 0 && s.input.start_seconds > s.input.end_seconds) {
    refuse_order(s, "input.start_seconds", "input.end_seconds");
  }
}

}  // namespace

const SettingOrigin& Settings::origin(const std::string& key) const {
  static const SettingOrigin kDefault;
  const auto found = origins.find(key);
  return found == origins.end() ? kDefault : found->second;
}

std::string resolution_class(int width, int height) {
  const int longer = std::max(width, height);
  if (longer > 5120) return "8k";
  if (longer > 2560) return "4k";
  if (longer > 1280) return "1080p";
  return "";
}

Settings Settings::for_resolution(int width, int height) const {
  Settings adapted = *this;
  const auto values = by_resolution.find(resolution_class(width, height));
  if (values == by_resolution.end()) return adapted;
  for (const SettingText& text : values->second) {
    if (text.origin.layer >= origin(text.key).layer) apply(text, adapted);
  }
  return adapted;
}

SettingsInputs process_inputs() {
  SettingsInputs inputs;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || !text.starts_with("PEREGRINE_")) continue;
    inputs.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  inputs.default_files.emplace_back("peregrine.toml");
  const char* xdg = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (xdg && *xdg) {
    inputs.default_files.push_back((fs::path(xdg) / "peregrine/config.toml").string());
  } else if (home && *home) {
    inputs.default_files.push_back((fs::path(home) / ".config/peregrine/config.toml").string());
  }
  inputs.machine = probe_machine();
  return inputs;
}

Settings resolve(const SettingsInputs& inputs) {
  const std::string path = find_file(inputs);
  SettingsFile file;
  if (!path.empty()) file = read_settings_file(path);

  // The stronger layers choose the profile, which is weaker than they are: read it off them first.
  const auto apply_layers = [&](Settings& settings) {
    settings.file = path;
    if (!path.empty()) apply_file(path, file, settings);
    for (const SettingText& text : environment_values(inputs, settings)) apply(text, settings);
    for (const SettingText& text : inputs.flags) apply(text, settings);
  };
  Settings chosen;
  apply_layers(chosen);
  Settings settings;
  settings.profile = chosen.profile;
  settings.origins["profile"] = chosen.origin("profile");
  apply_profile(inputs, settings);
  apply_layers(settings);
  // Who names a ReID model wants what it computes.
  if (!settings.embeddings.model.empty() &&
      settings.origin("embeddings.enabled").layer == SettingLayer::kDefault) {
    settings.embeddings.enabled = true;
    settings.origins["embeddings.enabled"] = settings.origin("embeddings.model");
  }
  check_together(settings);
  return settings;
}

std::vector<ModelSettings> models_to_run(const Settings& settings,
                                         const std::vector<std::string>& asked) {
  std::vector<ModelSettings> chosen;
  for (const std::string& name : asked) {
    const auto known = std::find_if(
        settings.models.begin(), settings.models.end(),
        [&](const ModelSettings& model) { return model.name == name || model.path == name; });
    ModelSettings model;
    if (known != settings.models.end()) {
      model = *known;
    } else {
      model.path = name;
      model.name = fs::path(name).stem().string();
    }
    chosen.push_back(std::move(model));
  }
  if (asked.empty()) {
    std::copy_if(settings.models.begin(), settings.models.end(), std::back_inserter(chosen),
                 [](const ModelSettings& model) { return model.enabled; });
  }
  if (chosen.empty()) {
    throw Error(ErrorCode::kUsage,
                settings.models.empty()
                    ? "no model to run; name one with --model MODEL.onnx"
                    : fmt::format("every model in '{}' is switched off; name one with --model ({})",
                                  settings.file, model_names(settings)));
  }
  for (ModelSettings& model : chosen) {
    if (model.task.empty()) model.task = settings.inference.task;
    if (model.labels.empty()) model.labels = settings.inference.labels;
    model.tracking = model.tracking.value_or(settings.tracking.enabled);
    model.embeddings = model.embeddings.value_or(settings.embeddings.enabled);
  }
  return chosen;
}

}  // namespace peregrine
