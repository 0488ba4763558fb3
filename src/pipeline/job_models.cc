// SPDX-License-Identifier: Apache-2.0
#include "pipeline/job_models.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/plan_file.h"
#include "core/log.h"
#include "engine/factory.h"
#include "engine/gpu_engine.h"
#include "peregrine/error.h"
#include "vision/combined_predictor.h"
#include "vision/picture_input.h"

namespace peregrine::pipeline {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::kUsage, why); }

// Batches of a GPU's plan: what keeps up with the streams there are. One stream's decoder is far
// slower than small batches; many fill large ones.
std::vector<int> gpu_batches(int wanted, int streams) {
  const int largest = wanted > 0 ? wanted : streams >= 8 ? 32 : 8;
  std::vector<int> batches;
  for (const int size : {1, 8, 32}) {
    if (size < largest) batches.push_back(size);
  }
  batches.push_back(largest);
  return batches;
}

void check_companion(const LoadedModel& first, const LoadedModel& model) {
  if (model.task.task == Task::kEmbed) {
    refuse(
        fmt::format("{}: it cannot run beside other models; for embeddings of objects name it "
                    "with --reid",
                    model.description));
  }
  if (model.engine->device() != first.engine->device()) {
    refuse(fmt::format("{}, but {}; all models of a run need the same device", model.description,
                       first.description));
  }
}

// An answer has room for one kind of keypoints.
void check_keypoints(const LoadedModel& one, const LoadedModel& other) {
  if (one.task.keypoint_count == 0 || other.task.keypoint_count == 0 ||
      one.task.keypoint_count == other.task.keypoint_count)
    return;
  refuse(fmt::format("{} finds {} points an object and {} {}: an answer has room for one kind",
                     one.description, one.task.keypoint_count, other.description,
                     other.task.keypoint_count));
}

// `classes` of the whole run as the model's own; none of them: it would find nothing.
vision::DecodeOptions own_classes(vision::DecodeOptions decode, const LoadedModel& model,
                                  const std::vector<int>& classes) {
  if (decode.classes.empty()) return decode;
  std::vector<int> own;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (std::find(decode.classes.begin(), decode.classes.end(), classes[i]) != decode.classes.end())
      own.push_back(static_cast<int>(i));
  }
  if (own.empty() && finds_objects(model.task.task)) {
    refuse(fmt::format("--classes leaves nothing that {} finds; leave that model out",
                       model.description));
  }
  decode.classes = std::move(own);
  return decode;
}

std::unique_ptr<vision::Predictor> make_predictor(const LoadedModel& model,
                                                  const vision::DecodeOptions& decode) {
  return model.engine->device().is_cpu()
             ? vision::make_cpu_predictor(model.engine, model.task, decode)
             : vision::make_gpu_predictor(model.engine, model.task, decode);
}

}  // namespace

// The engine knows the shapes that the file leaves open, so the task is settled after it is
// compiled.
LoadedModel load_model(const JobModel& model, const JobOptions& options, int max_batch,
                       int streams) {
  const std::string& path = model.path;
  const vision::TaskOverrides& overrides = model.overrides;
  ModelInfo info = compiler::read_model_or_plan_info(path);
  engine::EngineOptions engine_options;
  engine_options.threads = options.threads;
  engine_options.max_batch = std::max(1, max_batch);
  engine_options.half_pixels = options.precision != "fp32";
  engine_options.batches = gpu_batches(max_batch, streams);
  engine_options.latency = options.latency;
  engine_options.precision = options.precision;
  engine_options.progress = options.build_progress;
  engine_options.input_height = engine_options.input_width = overrides.image_size;
  LoadedModel loaded;
  loaded.engine = engine::make_engine(path, options.device, engine_options);
  if (const auto* gpu = dynamic_cast<const engine::GpuEngine*>(loaded.engine.get())) {
    loaded.engine = gpu->on_device();
  } else if (options.strict_gpu) {
    throw Error(ErrorCode::kGpu,
                fmt::format("strict GPU: '{}' would run on {}; choose a GPU with --device cuda "
                            "('peregrine doctor' tells what is missing), or drop --strict-gpu",
                            path, loaded.engine->description()));
  }
  info.inputs.clear();
  for (const TensorSpec& input : loaded.engine->inputs()) {
    info.inputs.push_back(vision::planar_spec(input));
  }
  info.outputs = loaded.engine->outputs();
  loaded.task = vision::identify_task(info, overrides);
  loaded.description =
      fmt::format("{}: {} on {}", path, to_string(loaded.task.task), loaded.engine->description());
  logger("pipeline")->info("{}; {}", loaded.description, loaded.task.reason);
  return loaded;
}

LoadedModels load_models(const JobOptions& options, int streams) {
  LoadedModels loaded;
  for (const JobModel& each : options.models) {
    const LoadedModel model = load_model(each, options, options.batch, streams);
    if (loaded.models.empty()) {
      loaded.labels = model.task.labels;  // as they are: some of COCO's have no name
      loaded.classes.emplace_back();
    } else {
      check_companion(loaded.models.front(), model);
      for (const LoadedModel& other : loaded.models) check_keypoints(model, other);
      loaded.classes.push_back(vision::merge_labels(loaded.labels, model.task.labels));
    }
    loaded.models.push_back(model);
  }
  return loaded;
}

std::function<std::unique_ptr<vision::Predictor>()> predictor_maker(
    LoadedModels loaded, const vision::DecodeOptions& decode) {
  std::vector<vision::DecodeOptions> decodes;
  for (std::size_t k = 0; k < loaded.models.size(); ++k) {
    decodes.push_back(k == 0 ? decode : own_classes(decode, loaded.models[k], loaded.classes[k]));
  }
  return [loaded = std::move(loaded), decodes = std::move(decodes)] {
    auto first = make_predictor(loaded.models.front(), decodes.front());
    if (loaded.models.size() == 1) return first;
    std::vector<vision::Companion> others;
    for (std::size_t k = 1; k < loaded.models.size(); ++k)
      others.push_back({make_predictor(loaded.models[k], decodes[k]), loaded.classes[k]});
    return vision::make_combined_predictor(std::move(first), std::move(others));
  };
}

bool finds_objects(Task task) {
  return task != Task::kClassify && task != Task::kEmbed && task != Task::kDepth;
}

}  // namespace peregrine::pipeline
