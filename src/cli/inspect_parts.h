// SPDX-License-Identifier: Apache-2.0
// What reports about models and plans have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/cli.h"
#include "peregrine/task.h"
#include "vision/task_spec.h"

namespace peregrine::cli {

/// What a model's outputs mean, or why that cannot be known.
struct TaskFinding {
  std::optional<vision::TaskSpec> spec;
  std::string problem;
};
/// `image_size` as `--imgsz` says it, or 0.
TaskFinding find_task(const ModelInfo& info, int image_size);

void add_specs(Table& table, const char* title, const std::vector<TensorSpec>& specs);
void add_task(Table& table, const TaskFinding& found);
nlohmann::ordered_json specs_json(const std::vector<TensorSpec>& specs);
nlohmann::ordered_json task_json(const TaskFinding& found);

/// "6.5 G", "2.62 M": three digits are what people compare.
std::string scaled(std::int64_t count);
/// A value of a file on one line, cut where it is long: label lists run to thousands of letters.
std::string one_line(std::string text, std::size_t limit = 88);

/// A plan file, described. Throw what `compiler::read_plan_summary` throws.
std::string plan_as_text(const std::string& path);
std::string plan_as_json(const std::string& path);

}  // namespace peregrine::cli
