// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_parts.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "peregrine/error.h"

namespace peregrine::cli {

using Json = nlohmann::ordered_json;
using vision::InputSpec;

TaskFinding find_task(const ModelInfo& info, int image_size) {
  vision::TaskOverrides overrides;
  overrides.image_size = image_size;
  try {
    return {vision::identify_task(info, overrides), ""};
  } catch (const Error& unknown) {
    return {std::nullopt, unknown.what()};
  }
}

std::string scaled(std::int64_t count) {
  constexpr const char* kUnits[] = {"", " k", " M", " G", " T", " P", " E"};
  double value = static_cast<double>(count);
  int unit = 0;
  for (; value >= 1000 && unit < 6; ++unit) value /= 1000;
  return fmt::format("{:.3g}{}", value, kUnits[unit]);
}

std::string one_line(std::string text, std::size_t limit) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  if (text.size() <= limit) return text;
  std::size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

void add_specs(Table& table, const char* title, const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    table.add({&spec == &specs.front() ? title : "",
               fmt::format("{}  {}  {}", one_line(spec.name), to_string(spec.dtype),
                           to_string(spec.shape))});
  }
}

namespace {

const char* fit_name(InputSpec::Fit fit) {
  switch (fit) {
    case InputSpec::Fit::kLetterbox: return "letterbox";
    case InputSpec::Fit::kStretch: return "stretch";
    case InputSpec::Fit::kCenterCrop: return "center_crop";
  }
  return "?";
}

// How it becomes the model's input.
std::string picture_text(const InputSpec& input) {
  const char* fit = input.fit == InputSpec::Fit::kLetterbox ? "letterboxed"
                    : input.fit == InputSpec::Fit::kStretch ? "stretched"
                                                            : "resized and cut";
  std::string text = fmt::format("{} to {}x{}", fit, input.width, input.height);
  if (std::any_of(std::begin(input.std), std::end(input.std), [](float v) { return v != 1; })) {
    text += fmt::format(", less mean {} over deviation {}", fmt::join(input.mean, " "),
                        fmt::join(input.std, " "));
  }
  return text;
}

// As people write them: 0.485, not the double nearest to the float nearest to it.
Json decimals(const float (&values)[3]) {
  Json list = Json::array();
  for (const float value : values) list.push_back(std::stod(fmt::format("{}", value)));
  return list;
}

}  // namespace

void add_task(Table& table, const TaskFinding& found) {
  if (!found.spec) {
    table.add({"task", "unknown: " + found.problem});
    return;
  }
  const vision::TaskSpec& task = *found.spec;
  table.add({"task", fmt::format("{}: {}", to_string(task.task), task.reason)});
  table.add({"picture", picture_text(task.input)});
  if (task.class_count > 0) {
    table.add({"classes", fmt::format("{}: {}", task.class_count,
                                      one_line(fmt::format("{}", fmt::join(task.labels, ", "))))});
  }
  if (task.keypoint_count > 0) table.add({"keypoints", std::to_string(task.keypoint_count)});
}

Json specs_json(const std::vector<TensorSpec>& specs) {
  Json list = Json::array();
  for (const TensorSpec& spec : specs) {
    Json shape = Json::array();
    for (const std::int64_t dimension : spec.shape) {
      shape.push_back(dimension < 0 ? Json() : Json(dimension));
    }
    list.push_back({{"name", spec.name}, {"dtype", to_string(spec.dtype)}, {"shape", shape}});
  }
  return list;
}

Json task_json(const TaskFinding& found) {
  if (!found.spec) return {{"name", nullptr}, {"problem", found.problem}};
  const vision::TaskSpec& task = *found.spec;
  Json json = {{"name", to_string(task.task)},
               {"reason", task.reason},
               {"input",
                {{"width", task.input.width},
                 {"height", task.input.height},
                 {"fit", fit_name(task.input.fit)},
                 {"mean", decimals(task.input.mean)},
                 {"deviation", decimals(task.input.std)}}}};
  if (task.class_count > 0) json["labels"] = task.labels;
  if (task.keypoint_count > 0) json["keypoints"] = task.keypoint_count;
  return json;
}

}  // namespace peregrine::cli
