// SPDX-License-Identifier: Apache-2.0
#include "pipeline/job.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/factory.h"
#include "engine/gpu_engine.h"
#include "peregrine/error.h"
#include "pipeline/job_models.h"
#include "video/paced_source.h"
#include "video/synth/synth.h"

namespace peregrine::pipeline {
namespace {

constexpr std::string_view kSynthScheme = "synth:";

/// "synth:seed=7,..." is drawn, everything else is opened by libav.
bool is_synthetic(const video::SourceSpec& source) { return source.name.starts_with(kSynthScheme); }

std::vector<video::SourceSpec> find_sources(const std::vector<std::string>& arguments) {
  std::vector<video::SourceSpec> sources;
  for (const std::string& argument : arguments) {
    if (argument.starts_with(kSynthScheme)) {
      sources.emplace_back().name = argument;
      continue;
    }
    for (video::SourceSpec& each : video::expand_sources({argument})) {
      sources.push_back(std::move(each));
    }
  }
  return sources;
}

bool is_network(const video::SourceSpec& source) {
  return source.kind == video::SourceSpec::Kind::kNetwork;
}

// Only what can be read from its beginning again.
void check_loop(const video::SourceSpec& source, const video::SourceOptions& options) {
  if (options.loop == 1) return;
  if (source.kind != video::SourceSpec::Kind::kFile || is_synthetic(source)) {
    throw Error(ErrorCode::kUsage,
                fmt::format("--loop repeats video files, and '{}' is none", source.name));
  }
  if (options.start_seconds > 0 || options.end_seconds > 0) {
    throw Error(ErrorCode::kUsage, "--loop repeats whole files; leave out --start and --end");
  }
}

StreamSpec make_stream(const video::SourceSpec& source, const video::SourceOptions& options) {
  check_loop(source, options);
  StreamSpec stream;
  stream.source = source;
  stream.options = options;
  stream.live = options.paced || is_network(source);
  if (is_synthetic(source)) {
    stream.open = [source, options](const std::atomic<bool>&) {
      if (options.gpu.strict) {
        throw Error(ErrorCode::kGpu,
                    fmt::format("strict GPU: '{}' is drawn on the CPU. Write it to a file with "
                                "'peregrine synth', or drop --strict-gpu",
                                source.name));
      }
      return synth::make_synth_source(source.name, options);
    };
  } else {
    stream.open = [source, options](const std::atomic<bool>& cancel) {
      video::SourceOptions cancellable = options;
      cancellable.cancel = &cancel;
      return video::open_source(source, cancellable);
    };
  }
  if (options.paced && !is_network(source)) {
    stream.open = [open = std::move(stream.open)](const std::atomic<bool>& cancel) {
      return video::make_paced_source(open(cancel));
    };
  }
  return stream;
}

// Streams that are open side by side.
int streams_at_once(const std::vector<video::SourceSpec>& sources, const JobOptions& options) {
  const auto live = std::count_if(sources.begin(), sources.end(), [&](const auto& each) {
    return options.source.paced || is_network(each);
  });
  const auto files = std::min<std::ptrdiff_t>(std::ssize(sources) - live, options.max_open_files);
  return static_cast<int>(std::max<std::ptrdiff_t>(1, live + files));
}

// Decoded frames of one stream are surfaces of GPU memory: as many as keep the workers fed, divided
// among the streams.
void plan_surfaces(const JobOptions& options, int streams, int device, PipelineOptions& pipeline,
                   video::SourceOptions& source) {
  constexpr int kQueued = 128;  // in all streams' queues together
  pipeline.queue_depth = std::clamp(kQueued / streams, 2, std::max(2, options.queue_depth));
  pipeline.window = 3 + pipeline.workers * pipeline.batch / streams;
  source.gpu.device = device;
  source.gpu.strict = options.strict_gpu;
  // One waits at the queue's door, one is kept while a source tells its size.
  source.gpu.held_frames = pipeline.queue_depth + pipeline.window + 2;
}

// Before anything is allocated there.
void limit_memory(const JobOptions& options) {
  const int gpu =
      options.device.starts_with("cuda") ? engine::parse_cuda_device(options.device) : 0;
  engine::limit_gpu_memory(gpu, static_cast<std::size_t>(options.vram_limit_bytes));
}

void make_file_sinks(const JobOptions& options, const std::vector<std::string>& labels, bool on_gpu,
                     std::vector<std::unique_ptr<output::Sink>>& sinks) {
  if (!options.jsonl.empty()) {
    sinks.push_back(output::make_jsonl_sink(options.jsonl, labels, options.depth));
  }
  if (!options.depth.empty()) sinks.push_back(output::make_depth_sink(options.depth));
  if (!options.mot.empty()) sinks.push_back(output::make_mot_sink(options.mot));
  if (!options.coco.empty()) sinks.push_back(output::make_coco_sink(options.coco));
  const output::AnnotateOptions drawing{
      labels, options.bit_rate, on_gpu ? output::make_gpu_annotator : output::make_cpu_annotator};
  if (!options.annotate.empty())
    sinks.push_back(output::make_annotated_video_sink(options.annotate, drawing));
  if (!options.contact_sheet.empty())
    sinks.push_back(output::make_contact_sheet_sink(options.contact_sheet, drawing));
}

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::kUsage, why); }

// What was asked for and the first model cannot give.
void check_task(const JobOptions& options, Task task) {
  const std::string model =
      fmt::format("'{}' is a model for task {}", options.models.front().path, to_string(task));
  if (options.tracking && !finds_objects(task)) {
    refuse(fmt::format("--track needs a model that finds objects; {}", model));
  }
  if (!options.depth.empty() && task != Task::kDepth && options.models.size() == 1) {
    refuse(fmt::format("--depth needs a depth model; {}", model));
  }
  if (task == Task::kEmbed && !options.embeddings && !options.jsonl.empty()) {
    refuse(fmt::format("{}, and its embeddings are not asked for; add --embeddings to write them",
                       model));
  }
  if (!options.embeddings) return;
  if (finds_objects(task) && options.reid_model.empty()) {
    refuse("--embeddings needs a ReID model: name its ONNX file with --reid");
  }
  if (!finds_objects(task) && !options.reid_model.empty()) {
    refuse(fmt::format("--reid needs a model that finds objects; {}", model));
  }
  if (!finds_objects(task) && task != Task::kEmbed) {
    refuse(fmt::format("--embeddings needs a model that finds objects or makes embeddings; {}",
                       model));
  }
}

}  // namespace

Job make_job(const JobOptions& options, std::vector<std::unique_ptr<output::Sink>> sinks) {
  const std::vector<video::SourceSpec> sources = find_sources(options.sources);
  const int at_once = streams_at_once(sources, options);
  if (options.device != "cpu") limit_memory(options);

  Job job;
  const LoadedModels loaded = load_models(options, at_once);
  job.engine = loaded.models.front().engine;
  job.task = loaded.models.front().task;
  job.labels = loaded.labels;
  int batch = job.engine->max_batch();
  for (const LoadedModel& model : loaded.models) {
    if (!job.description.empty()) job.description += '\n';
    job.description += model.description;
    batch = std::min(batch, model.engine->max_batch());
  }
  const bool on_gpu = !job.engine->device().is_cpu();

  check_task(options, job.task.task);
  if (options.strict_gpu && !options.contact_sheet.empty()) {
    throw Error(ErrorCode::kGpu,
                "strict GPU: --contact-sheet draws on the CPU, to which every picture would go; "
                "leave it out, or drop --strict-gpu");
  }

  std::function<std::unique_ptr<vision::Embedder>()> make_embedder;
  if (options.embeddings && !options.reid_model.empty()) {
    vision::TaskOverrides reid_overrides;
    reid_overrides.task = Task::kEmbed;
    const LoadedModel reid =
        load_model({options.reid_model, reid_overrides}, options, options.reid_batch, at_once);
    make_embedder = reid.engine->device().is_cpu()
                        ? [reid] { return vision::make_cpu_embedder(reid.engine, reid.task); }
                        : vision::make_gpu_embedders(reid.engine, reid.task);
  }

  vision::DecodeOptions decode = options.decode;
  video::SourceOptions source_options = options.source;
  PipelineOptions pipeline_options;
  pipeline_options.queue_depth = options.queue_depth;
  pipeline_options.max_open_files = options.max_open_files;
  pipeline_options.batch = batch;
  // One batch more than the engine runs at once: its next input is ready when it asks.
  pipeline_options.workers = job.engine->recommended_contexts() + 1;
  pipeline_options.max_delay = std::chrono::microseconds(
      static_cast<std::int64_t>(on_gpu ? options.max_delay_seconds * 1e6 : 0));
  pipeline_options.tracking = options.tracking;
  pipeline_options.confidence = decode.confidence;
  // ByteTrack's second association lives on detections that the user will not see.
  if (options.tracking)
    decode.confidence = std::min(decode.confidence, options.tracking->low_threshold);
  if (on_gpu) {
    plan_surfaces(options, at_once, job.engine->device().index, pipeline_options, source_options);
    pipeline_options.gpu = job.engine->device().index;
  }

  std::vector<StreamSpec> streams;
  for (const video::SourceSpec& source : sources) {
    streams.push_back(make_stream(source, source_options));
  }
  make_file_sinks(options, job.labels, on_gpu, sinks);
  job.pipeline = std::make_unique<Pipeline>(pipeline_options, std::move(streams),
                                            predictor_maker(loaded, decode),
                                            std::move(make_embedder), std::move(sinks));
  return job;
}

}  // namespace peregrine::pipeline
