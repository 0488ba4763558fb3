// SPDX-License-Identifier: Apache-2.0
// peregrine inspect X.plan: what a plan was made from and for, and what each node of it really
// uses. No GPU is asked.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/inspect_parts.h"
#include "compiler/plan_file.h"
#include "compiler/step_facts.h"
#include "core/machine.h"

namespace peregrine::cli {
namespace {

using Json = nlohmann::ordered_json;
using compiler::PlanIdentity;
using compiler::PlanSummary;
using compiler::Program;
using compiler::Step;

// 13010 is 13.1.
std::string cuda_version(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::map<std::string, int> precisions(const Program& program) {
  std::map<std::string, int> counts;
  for (const Step& step : program.steps) ++counts[compiler::step_precision(step)];
  return counts;
}

TaskFinding task_of(const PlanSummary& summary, const std::string& path) {
  return find_task({path, summary.plan.inputs, summary.plan.outputs, summary.plan.metadata}, 0);
}

std::string time_text(double microseconds) {
  return microseconds > 0 ? fmt::format("{:.2f} us", microseconds) : "-";
}

void add_identity(Table& table, const PlanSummary& summary) {
  const PlanIdentity& identity = summary.plan.identity;
  table.add({"model", fmt::format("{}, sha256 {}", one_line(identity.model_name),
                                  one_line(identity.model_sha256))});
  table.add(
      {"built for", fmt::format("{} (sm_{}, {} multiprocessors), driver for CUDA {}",
                                one_line(identity.device_name), identity.sm,
                                identity.multiprocessors, cuda_version(identity.driver_version))});
  table.add({"built by",
             fmt::format("Peregrine {}, CUDA runtime {}", one_line(identity.peregrine_version),
                         cuda_version(identity.runtime_version))});
  std::vector<std::string> used;
  for (const auto& [precision, count] : precisions(summary.plan.programs.front())) {
    used.push_back(fmt::format("{} {}", precision, count));
  }
  table.add({"precision", fmt::format("{} asked for; nodes: {}", one_line(identity.precision),
                                      fmt::join(used, ", "))});
  table.add({"weights", format_bytes(static_cast<std::int64_t>(summary.weights_bytes))});
}

std::string batches_text(const std::vector<Program>& programs) {
  Table table({"batch", "nodes", "arena", "peak", "one run"});
  for (const Program& program : programs) {
    table.add({std::to_string(program.batch), std::to_string(program.steps.size()),
               format_bytes(static_cast<std::int64_t>(program.arena_bytes)),
               format_bytes(static_cast<std::int64_t>(program.peak_bytes)),
               time_text(program.microseconds)});
  }
  return fmt::format("\n{}", table.text(2));
}

std::string nodes_text(const Program& program) {
  Table table({"precision", "kernel", "tactic", "time", "node"});
  for (const Step& step : program.steps) {
    const std::size_t more = step.origins.size();
    table.add({compiler::step_precision(step), one_line(step.kernel), one_line(step.tactic),
               time_text(step.microseconds),
               one_line(step.name) + (more > 1 ? fmt::format(" (of {})", more) : "")});
  }
  return fmt::format("\nnodes at batch {} (\"of N\": ONNX nodes whose work one does):\n{}",
                     program.batch, table.text(2));
}

Json program_json(const Program& program) {
  Json nodes = Json::array();
  for (const Step& step : program.steps) {
    nodes.push_back({{"name", step.name},
                     {"kernel", step.kernel},
                     {"tactic", step.tactic},
                     {"precision", compiler::step_precision(step)},
                     {"microseconds", step.microseconds},
                     {"bytes", compiler::step_bytes(step)},
                     {"flops", step.flops},
                     {"origins", step.origins}});
  }
  return {{"batch", program.batch},
          {"arena_bytes", program.arena_bytes},
          {"peak_bytes", program.peak_bytes},
          {"microseconds", program.microseconds},
          {"precisions", precisions(program)},
          {"nodes", nodes}};
}

}  // namespace

std::string plan_as_text(const std::string& path) {
  const PlanSummary summary = compiler::read_plan_summary(path);
  Table table;
  table.add({"plan", fmt::format("{}, {}", path,
                                 format_bytes(static_cast<std::int64_t>(summary.file_bytes)))});
  add_identity(table, summary);
  add_specs(table, "inputs", summary.plan.inputs);
  add_specs(table, "outputs", summary.plan.outputs);
  add_task(table, task_of(summary, path));
  return table.text() + batches_text(summary.plan.programs) +
         nodes_text(summary.plan.programs.front());
}

std::string plan_as_json(const std::string& path) {
  const PlanSummary summary = compiler::read_plan_summary(path);
  const PlanIdentity& identity = summary.plan.identity;
  Json programs = Json::array();
  for (const Program& program : summary.plan.programs) programs.push_back(program_json(program));
  const Json json = {{"schema", 1},
                     {"file", path},
                     {"bytes", summary.file_bytes},
                     {"plan",
                      {{"model", identity.model_name},
                       {"model_sha256", identity.model_sha256},
                       {"precision", identity.precision},
                       {"device", identity.device_name},
                       {"sm", identity.sm},
                       {"multiprocessors", identity.multiprocessors},
                       {"driver_cuda", cuda_version(identity.driver_version)},
                       {"cuda_runtime", cuda_version(identity.runtime_version)},
                       {"peregrine", identity.peregrine_version}}},
                     {"weights_bytes", summary.weights_bytes},
                     {"inputs", specs_json(summary.plan.inputs)},
                     {"outputs", specs_json(summary.plan.outputs)},
                     {"task", task_json(task_of(summary, path))},
                     {"programs", programs},
                     {"metadata", summary.plan.metadata}};
  // Names in a model need not be valid UTF-8; JSON must be.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace peregrine::cli
