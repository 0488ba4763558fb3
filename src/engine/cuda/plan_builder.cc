// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/plan_builder.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "compiler/passes.h"
#include "core/cuda/check.h"
#include "core/stopwatch.h"
#include "engine/cuda/lowering.h"
#include "engine/cuda/machine_identity.h"
#include "engine/cuda/tuner.h"
#include "engine/cuda/weight_store.h"
#include "model/model_digest.h"
#include "model/onnx_reader.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Plan;
using compiler::Program;
using model::Graph;
using model::Value;

// The batch is the caller's choice where it comes first; other shapes are what they are, and then
// there can be one batch only.
std::vector<TensorSpec> specs_of(const std::vector<Value*>& values,
                                 const std::vector<std::string>& names, std::int64_t batch,
                                 bool one_batch) {
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < values.size(); ++i) {
    TensorSpec spec{names[i], values[i]->dtype, values[i]->shape};
    if (!spec.shape.empty() && batch > 0 && spec.shape[0] == batch) {
      spec.shape[0] = -1;
    } else if (!one_batch) {
      throw Error(ErrorCode::kModelUnsupported,
                  fmt::format("tensor '{}' has shape {}, which does not begin with the batch: such "
                              "a model can be built for one batch only",
                              spec.name, to_string(spec.shape)));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::vector<std::string> names_of(const std::vector<Value*>& values) {
  std::vector<std::string> names;
  for (const Value* value : values) names.push_back(value->name);
  return names;
}

Graph compiled(const Graph& model, int batch, const BuildOptions& options, BuildReport& report) {
  Graph graph = model.clone();
  model::infer(
      graph,
      {.batch = batch, .height = options.height, .width = options.width, .bound_lengths = true});
  const auto passes = compiler::compile_graph(graph, {}, [&](const compiler::PassReport& pass) {
    if (options.progress) options.progress({BuildProgress::Stage::kPass, batch, pass.name});
  });
  if (report.passes.empty()) report.passes = passes;
  if (options.half_pixels) compiler::read_half_pixels(graph);
  return graph;
}

void check_workspace(const Plan& plan, const BuildOptions& options) {
  for (const Program& program : plan.programs) {
    if (program.arena_bytes <= options.workspace_bytes) continue;
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("batch {} needs an arena of {:.1f} MiB, more than the workspace of "
                            "{:.1f} MiB; use a smaller batch or a larger --workspace",
                            program.batch, program.arena_bytes / 1048576.0,
                            options.workspace_bytes / 1048576.0));
  }
}

}  // namespace

Plan lower_to_plan(std::span<const Graph> graphs, Precision precision) {
  Plan plan;
  plan.identity.precision = precision == Precision::kFloat16 ? "fp16" : "fp32";
  const Graph& first = graphs.front();
  const bool one_batch = graphs.size() == 1;
  plan.inputs = specs_of(first.inputs(), names_of(first.inputs()), first.batch, one_batch);
  plan.outputs = specs_of(first.outputs(), first.output_names(), first.batch, one_batch);
  plan.metadata = first.metadata;
  WeightStore weights;
  for (const Graph& graph : graphs) {
    plan.programs.push_back(Lowering(graph, precision, weights).run());
  }
  plan.weights = weights.take();
  return plan;
}

Plan build_plan(const std::string& onnx_path, const BuildOptions& options, BuildReport* report) {
  BuildReport own;
  BuildReport& told = report ? *report : own;
  const Stopwatch watch;
  const DeviceInfo device = device_info(options.device);
  CUDA_CHECK(cudaSetDevice(options.device));
  if (options.progress) options.progress({BuildProgress::Stage::kRead, 0, onnx_path});
  const Graph model = model::read_onnx(onnx_path);
  const std::set<int> batches(options.batches.begin(), options.batches.end());
  std::vector<Graph> graphs;
  for (const int batch : batches) graphs.push_back(compiled(model, batch, options, told));
  if (options.progress) options.progress({BuildProgress::Stage::kLower, 0, ""});
  Plan plan = lower_to_plan(graphs, options.precision);
  check_workspace(plan, options);
  const std::string made_with = std::move(plan.identity.precision);
  plan.identity = machine_identity(device);
  plan.identity.precision = made_with;
  plan.identity.model_name = std::filesystem::path(onnx_path).filename().string();
  plan.identity.model_sha256 = model::model_digest(onnx_path);
  tune(plan, device, options, told);
  told.seconds = watch.seconds();
  return plan;
}

}  // namespace peregrine::cuda
