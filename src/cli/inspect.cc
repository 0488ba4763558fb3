// SPDX-License-Identifier: Apache-2.0
// peregrine inspect FILE: what a model is and costs. Shapes are worked out; the model never runs.
// Plans are in inspect_plan.cc.
#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/inspect_parts.h"
#include "compiler/plan_file.h"
#include "core/machine.h"
#include "model/cost.h"
#include "model/onnx_reader.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"
#include "peregrine/task.h"

namespace peregrine::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path;
  int image_size = 0;
  bool json = false;
};

// What one picture takes, whatever engine runs it.
struct Cost {
  model::GraphCost total;
  std::int64_t batch = 1;           // pictures that `total` is for
  std::vector<std::string> shapes;  // of the inputs it was worked out for
};

// A part that cannot be known leaves the reason: the others are worth showing all the same.
struct Inspection {
  std::string path;
  std::int64_t bytes = 0;
  ModelInfo info;
  TaskFinding task;
  int opset = 0, ir_version = 0;
  std::string producer;
  std::map<std::string, int> ops;
  std::optional<Cost> cost;
  std::string cost_problem;
};

// The file's own batch and size where it states them. An open batch is 1; an open size is what was
// asked for, else what the task suggests.
model::InferOptions infer_options(const Options& options, const Inspection& found,
                                  std::int64_t fixed_batch) {
  model::InferOptions sizes;
  if (fixed_batch > 0) sizes.batch = fixed_batch;
  sizes.height = sizes.width = options.image_size;
  if (found.task.spec && options.image_size == 0) {
    sizes.height = found.task.spec->input.height;
    sizes.width = found.task.spec->input.width;
  }
  return sizes;
}

// Many exporters leave the outputs' dimensions open although they follow from the inputs'.
void complete_outputs(const model::Graph& graph, bool open_batch, ModelInfo& info) {
  for (std::size_t i = 0; i < info.outputs.size() && i < graph.outputs().size(); ++i) {
    info.outputs[i].shape = graph.outputs()[i]->shape;
    if (open_batch && !info.outputs[i].shape.empty()) info.outputs[i].shape[0] = -1;
  }
}

// 0 where the batch is open.
std::int64_t batch_of(const model::Graph& graph) {
  if (graph.inputs().empty() || graph.inputs()[0]->rank() == 0) return 0;
  return std::max<std::int64_t>(0, graph.inputs()[0]->shape[0]);
}

void work_out_cost(const Options& options, model::Graph& graph, Inspection& found) {
  const std::int64_t fixed_batch = batch_of(graph);
  try {
    model::infer(graph, infer_options(options, found, fixed_batch));
  } catch (const Error& error) {
    found.cost_problem = error.what();
    return;
  }
  Cost cost{model::graph_cost(graph), std::max<std::int64_t>(1, fixed_batch), {}};
  for (const model::Value* input : graph.inputs()) cost.shapes.push_back(to_string(input->shape));
  found.cost = std::move(cost);
  complete_outputs(graph, fixed_batch == 0, found.info);
}

Inspection inspect(const Options& options) {
  Inspection found;
  found.path = options.path;
  found.info = read_model_info(options.path);
  std::error_code error;
  found.bytes = static_cast<std::int64_t>(std::filesystem::file_size(options.path, error));
  found.task = find_task(found.info, options.image_size);
  std::optional<model::Graph> graph;
  try {
    graph = model::read_onnx(options.path);
  } catch (const Error& unsupported) {
    // An op that we do not know may be one that OpenVINO knows; a file that is broken is no model.
    if (unsupported.code() != ErrorCode::kModelUnsupported) throw;
    found.cost_problem = unsupported.what();
    return found;
  }
  found.opset = graph->opset;
  found.ir_version = graph->ir_version;
  found.producer = graph->producer;
  for (const model::Node* node : graph->nodes()) ++found.ops[model::to_string(node->op())];
  work_out_cost(options, *graph, found);
  found.task = find_task(found.info, options.image_size);  // again, with the outputs' shapes
  return found;
}

Json cost_json(const Inspection& found) {
  if (!found.cost) return {{"problem", found.cost_problem}};
  return {{"parameters", found.cost->total.parameters},
          {"flops", found.cost->total.flops / found.cost->batch},
          {"activation_bytes", found.cost->total.activation_bytes / found.cost->batch},
          {"inputs", found.cost->shapes}};
}

std::string as_json(const Inspection& found) {
  Json json = {{"schema", 1},
               {"file", found.path},
               {"bytes", found.bytes},
               {"opset", found.opset},
               {"ir_version", found.ir_version},
               {"producer", found.producer},
               {"inputs", specs_json(found.info.inputs)},
               {"outputs", specs_json(found.info.outputs)},
               {"task", task_json(found.task)},
               {"cost_per_picture", cost_json(found)},
               {"ops", found.ops},
               {"metadata", found.info.metadata}};
  // Names in a model need not be valid UTF-8; JSON must be.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void add_cost(Table& table, const Inspection& found) {
  if (!found.cost) {
    table.add({"cost", "unknown: " + found.cost_problem});
    return;
  }
  const model::GraphCost& total = found.cost->total;
  table.add({"parameters", scaled(total.parameters)});
  table.add({"one picture", fmt::format("{}FLOP, {} of activations written, at {}",
                                        scaled(total.flops / found.cost->batch),
                                        format_bytes(total.activation_bytes / found.cost->batch),
                                        fmt::join(found.cost->shapes, ", "))});
}

std::string ops_text(const Inspection& found) {
  std::vector<std::pair<int, std::string>> ranked;
  int nodes = 0;
  for (const auto& [op, count] : found.ops) {
    ranked.emplace_back(-count, op);  // most frequent first, then by name
    nodes += count;
  }
  std::sort(ranked.begin(), ranked.end());
  Table table;
  for (const auto& [count, op] : ranked) table.add({op, std::to_string(-count)});
  return fmt::format("\nnodes: {}, kinds: {}\n{}", nodes, ranked.size(), table.text(2));
}

std::string as_text(const Inspection& found) {
  Table table;
  table.add({"model", fmt::format("{}, {}", found.path, format_bytes(found.bytes))});
  if (found.opset > 0) {
    table.add(
        {"format", fmt::format("ONNX opset {}, IR {}{}{}", found.opset, found.ir_version,
                               found.producer.empty() ? "" : ", by ", one_line(found.producer))});
  }
  add_specs(table, "inputs", found.info.inputs);
  add_specs(table, "outputs", found.info.outputs);
  add_task(table, found.task);
  add_cost(table, found);
  std::string out = table.text();
  if (!found.ops.empty()) out += ops_text(found);
  if (!found.info.metadata.empty()) {
    Table metadata;
    for (const auto& [key, value] : found.info.metadata) {
      metadata.add({one_line(key, 32), one_line(value)});
    }
    out += "\nmetadata:\n" + metadata.text(2);
  }
  return out;
}

}  // namespace

void add_inspect(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("inspect", "What a model or plan is and costs; nothing is executed");
  const auto options = std::make_shared<Options>();
  command->add_option("FILE", options->path, "ONNX model or plan")->required();
  command
      ->add_option("--imgsz", options->image_size,
                   "Side of the input, where the model leaves it open")
      ->check(CLI::Range(1, 8192));
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([&action, options] {
    action = [options] {
      if (compiler::is_plan_file(options->path)) {
        print(options->json ? plan_as_json(options->path) : plan_as_text(options->path));
        return 0;
      }
      const Inspection found = inspect(*options);
      print(options->json ? as_json(found) : as_text(found));
      return 0;
    };
  });
}

}  // namespace peregrine::cli
