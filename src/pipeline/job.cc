// SPDX-License-Identifier: Apache-2.0
#include "pipeline/job.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/plan_file.h"
#include "core/log.h"
#include "engine/factory.h"
#include "video/synth/synth.h"

namespace peregrine::pipeline {
namespace {

struct LoadedModel {
  std::shared_ptr<const Engine> engine;
  vision::TaskSpec task;
  std::string description;
};

// The engine knows the shapes that the file leaves open, so the task is settled after it is
// compiled.
LoadedModel load_model(const std::string& path, const vision::TaskOverrides& overrides,
                       const JobOptions& options, int max_batch) {
  ModelInfo info = compiler::read_model_or_plan_info(path);
  engine::EngineOptions engine_options;
  engine_options.threads = options.threads;
  engine_options.max_batch = max_batch;
  engine_options.latency = options.latency;
  engine_options.precision = options.precision;
  engine_options.progress = options.build_progress;
  engine_options.input_height = engine_options.input_width = overrides.image_size;
  LoadedModel loaded;
  loaded.engine = engine::make_engine(path, options.device, engine_options);
  if (options.strict_gpu && loaded.engine->device().is_cpu()) {
    throw Error(ErrorCode::kGpu,
                fmt::format("strict GPU: '{}' would run on {}; choose a GPU with --device cuda "
                            "('peregrine doctor' tells what is missing), or drop --strict-gpu",
                            path, loaded.engine->description()));
  }
  info.inputs = loaded.engine->inputs();
  info.outputs = loaded.engine->outputs();
  loaded.task = vision::identify_task(info, overrides);
  loaded.description =
      fmt::format("{}: {} on {}", path, to_string(loaded.task.task), loaded.engine->description());
  logger("pipeline")->info("{}; {}", loaded.description, loaded.task.reason);
  return loaded;
}

constexpr std::string_view kSynthScheme = "synth:";

// "synth:seed=7,..." is drawn, everything else is opened by libav.
StreamSpec synth_stream(const std::string& name, const video::SourceOptions& options) {
  StreamSpec spec;
  spec.source.name = name;
  spec.options = options;
  spec.open = [name, options](const std::atomic<bool>&) {
    return synth::make_synth_source(name, options);
  };
  return spec;
}

std::vector<StreamSpec> make_streams(const JobOptions& options) {
  std::vector<StreamSpec> streams;
  for (const std::string& argument : options.sources) {
    if (argument.starts_with(kSynthScheme)) {
      streams.push_back(synth_stream(argument, options.source));
      continue;
    }
    for (video::SourceSpec& source : video::expand_sources({argument})) {
      StreamSpec spec;
      spec.live = source.kind == video::SourceSpec::Kind::kNetwork;
      spec.options = options.source;
      spec.open = [source,
                   source_options = options.source](const std::atomic<bool>& cancel) mutable {
        source_options.cancel = &cancel;
        return video::open_source(source, source_options);
      };
      spec.source = std::move(source);
      streams.push_back(std::move(spec));
    }
  }
  return streams;
}

void make_file_sinks(const JobOptions& options, const std::vector<std::string>& labels,
                     std::vector<std::unique_ptr<output::Sink>>& sinks) {
  if (!options.jsonl.empty()) sinks.push_back(output::make_jsonl_sink(options.jsonl, labels));
  if (!options.mot.empty()) sinks.push_back(output::make_mot_sink(options.mot));
  if (!options.coco.empty()) sinks.push_back(output::make_coco_sink(options.coco));
  if (!options.annotate.empty())
    sinks.push_back(
        output::make_annotated_video_sink(options.annotate, {labels, options.bit_rate}));
  if (!options.contact_sheet.empty()) {
    sinks.push_back(output::make_contact_sheet_sink(options.contact_sheet, labels));
  }
}

}  // namespace

Job make_job(const JobOptions& options, std::vector<std::unique_ptr<output::Sink>> sinks) {
  std::vector<StreamSpec> streams = make_streams(options);

  Job job;
  const LoadedModel detector =
      load_model(options.model, options.overrides, options, std::max(1, options.batch));
  job.engine = detector.engine;
  job.task = detector.task;
  job.description = detector.description;

  const bool has_objects = job.task.task != Task::kClassify && job.task.task != Task::kEmbed;
  if (options.tracking && !has_objects) {
    throw Error(ErrorCode::kUsage,
                fmt::format("--track needs a model that finds objects; '{}' is a {} model",
                            options.model, to_string(job.task.task)));
  }

  std::function<std::unique_ptr<vision::Embedder>()> make_embedder;
  if (!options.reid_model.empty()) {
    vision::TaskOverrides reid_overrides;
    reid_overrides.task = Task::kEmbed;
    const LoadedModel reid =
        load_model(options.reid_model, reid_overrides, options, options.reid_batch);
    make_embedder = [reid] { return std::make_unique<vision::Embedder>(reid.engine, reid.task); };
  }

  vision::DecodeOptions decode = options.decode;
  PipelineOptions pipeline_options;
  pipeline_options.queue_depth = options.queue_depth;
  pipeline_options.max_open_files = options.max_open_files;
  pipeline_options.batch = job.engine->max_batch();
  // One batch more than the engine runs at once: its next input is ready when it asks.
  pipeline_options.workers = job.engine->recommended_contexts() + 1;
  pipeline_options.tracking = options.tracking;
  pipeline_options.confidence = decode.confidence;
  // ByteTrack's second association lives on detections that the user will not see.
  if (options.tracking)
    decode.confidence = std::min(decode.confidence, options.tracking->low_threshold);

  make_file_sinks(options, job.task.labels, sinks);
  job.pipeline = std::make_unique<Pipeline>(
      pipeline_options, std::move(streams),
      [engine = job.engine, task = job.task, decode] {
        return vision::make_cpu_predictor(engine, task, decode);
      },
      std::move(make_embedder), std::move(sinks));
  return job;
}

}  // namespace peregrine::pipeline
