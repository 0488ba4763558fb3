// SPDX-License-Identifier: Apache-2.0
#include "pipeline/job_options.h"

#include <fstream>

#include <fmt/format.h>

#include "core/log.h"

namespace peregrine::pipeline {
namespace {

std::optional<Task> task_named(const std::string& name) {
  for (const Task task : {Task::kDetect, Task::kSegment, Task::kPose, Task::kObb, Task::kClassify,
                          Task::kEmbed, Task::kDepth}) {
    if (name == to_string(task)) return task;
  }
  return std::nullopt;  // "auto": the model says
}

std::optional<vision::Normalization> normalization_named(const std::string& name) {
  if (name == "none") return vision::Normalization::kNone;
  if (name == "imagenet") return vision::Normalization::kImageNet;
  if (name == "clip") return vision::Normalization::kClip;
  return std::nullopt;  // "auto": the model's family says
}

std::vector<std::string> read_labels(const std::string& path) {
  std::vector<std::string> labels;
  if (path.empty()) return labels;
  std::ifstream file(path);
  if (!file) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("--labels: '{}' cannot be read; it should hold one class name "
                            "a line",
                            path));
  }
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    labels.push_back(line);
  }
  while (!labels.empty() && labels.back().empty()) labels.pop_back();
  return labels;
}

JobModel job_model(const ModelSettings& model, const InferenceSettings& inference) {
  JobModel job{model.path, {}};
  job.overrides.task = task_named(model.task);
  job.overrides.labels = read_labels(model.labels);
  job.overrides.image_size = inference.image_size;
  job.overrides.normalization = normalization_named(inference.normalize);
  return job;
}

track::ByteTrackOptions tracking_options(const TrackingSettings& tracking) {
  track::ByteTrackOptions options;
  options.high_threshold = static_cast<float>(tracking.high_threshold);
  options.low_threshold = static_cast<float>(tracking.low_threshold);
  options.new_track_threshold = static_cast<float>(tracking.new_track_threshold);
  options.confirm_threshold = static_cast<float>(tracking.confirm_threshold);
  options.duplicate_iou = static_cast<float>(tracking.duplicate_iou);
  options.match_iou = static_cast<float>(tracking.match_iou);
  options.second_match_iou = static_cast<float>(tracking.second_match_iou);
  options.unconfirmed_match_iou = static_cast<float>(tracking.unconfirmed_match_iou);
  options.recovery_margin = static_cast<float>(tracking.recovery_margin);
  options.recovery_iou = static_cast<float>(tracking.recovery_iou);
  options.wide_margin = static_cast<float>(tracking.wide_margin);
  options.wide_iou = static_cast<float>(tracking.wide_iou);
  options.settle_crossings = tracking.settle_crossings;
  options.lost_seconds = tracking.lost_seconds;
  options.frame_rate = tracking.frame_rate;
  options.appearance_threshold = static_cast<float>(tracking.appearance_threshold);
  options.size_state = tracking.size_state;
  options.fuse_score = tracking.fuse_score;
  options.class_aware = tracking.class_aware;
  return options;
}

video::SourceOptions source_options(const Settings& settings) {
  video::SourceOptions options;
  options.start_seconds = settings.input.start_seconds;
  options.end_seconds = settings.input.end_seconds;
  options.every = settings.input.every;
  options.max_frames = settings.input.max_frames;
  options.loop = settings.input.loop;
  options.paced = settings.input.pace;
  options.max_side = settings.input.max_side;
  options.decoder_threads = settings.input.decoder_threads;
  options.connect_seconds = settings.input.connect_seconds;
  options.stall_seconds = settings.rtsp.stall_seconds;
  options.backoff_min_seconds = settings.rtsp.backoff_min_seconds;
  options.backoff_max_seconds = settings.rtsp.backoff_max_seconds;
  options.max_reconnects = settings.rtsp.max_reconnects;
  return options;
}

}  // namespace

Settings settings_for_sources(const Settings& settings, const std::vector<std::string>& sources) {
  if (settings.by_resolution.empty()) return settings;
  try {
    const video::SourceSpec first = video::expand_sources(sources).front();
    if (first.kind != video::SourceSpec::Kind::kFile) return settings;
    const video::SourceInfo info = video::open_source(first, source_options(settings))->info();
    return settings.for_resolution(info.width, info.height);
  } catch (const Error&) {
    return settings;
  }
}

JobOptions job_options(const Settings& settings, const std::vector<std::string>& sources,
                       const std::vector<std::string>& models) {
  const std::vector<ModelSettings> chosen = models_to_run(settings, models);
  const InferenceSettings& inference = settings.inference;
  JobOptions options;
  options.sources = sources;
  for (const ModelSettings& model : chosen) options.models.push_back(job_model(model, inference));
  options.device = inference.device;
  options.precision = inference.precision;
  options.decode.confidence = static_cast<float>(inference.confidence);
  options.decode.iou = static_cast<float>(inference.iou);
  options.decode.max_detections = inference.max_detections;
  options.decode.classes = inference.classes;
  options.decode.masks = settings.output.masks;
  options.source = source_options(settings);
  options.threads = inference.threads;
  options.strict_gpu = settings.strict_gpu;
  options.vram_limit_bytes = static_cast<std::int64_t>(settings.vram_limit * (1 << 30));
  options.max_delay_seconds = inference.latency ? 0 : inference.max_delay_ms * 1e-3;
  options.latency = inference.latency;
  options.batch = inference.batch;
  options.queue_depth = settings.input.queue_depth;
  options.max_open_files = settings.input.max_open_files;
  if (chosen.front().tracking.value_or(settings.tracking.enabled))
    options.tracking = tracking_options(settings.tracking);
  options.embeddings = chosen.front().embeddings.value_or(settings.embeddings.enabled);
  options.reid_model = settings.embeddings.model;
  options.reid_batch = settings.embeddings.batch;
  if (options.tracking && options.tracking->appearance_threshold > 0 && !options.embeddings) {
    throw Error(ErrorCode::kUsage,
                "tracking.appearance_threshold needs embeddings: add --reid MODEL, or leave it at 0");
  }
  if (!options.reid_model.empty() && !options.embeddings) {
    logger("pipeline")->warn("--no-embeddings leaves the model of --reid unused");
  }
  options.jsonl = settings.output.jsonl;
  options.mot = settings.output.mot;
  options.coco = settings.output.coco;
  options.annotate = settings.output.annotate;
  options.depth = settings.output.depth;
  options.contact_sheet = settings.output.contact_sheet;
  options.ledger = settings.output.ledger;
  options.bit_rate = settings.output.bit_rate;
  return options;
}

}  // namespace peregrine::pipeline
