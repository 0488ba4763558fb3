// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
#include "vision/output_decoder.h"
#include "vision/task_spec.h"

namespace peregrine::pipeline {

/// One of the models of a run.
struct JobModel {
  std::string path;  ///< of an ONNX file or a plan
  vision::TaskOverrides overrides;
};

/// Everything one `peregrine run` was asked for.
struct JobOptions {
  std::vector<std::string> sources;  ///< as `video::expand_sources` takes them, or "synth:..."
  /// At least one. The answers of all are merged: see `vision::merge_answers`. Classes are the
  /// first one's, then what others name beside them.
  std::vector<JobModel> models;
  std::string device = "auto";
  std::string precision = "auto";  ///< of a GPU: fp32, fp16; auto is fp16
  /// See `engine::EngineOptions::progress`.
  std::function<void(const std::string&)> build_progress;
  bool strict_gpu = false;            ///< anything that would run on the CPU is an error
  std::int64_t vram_limit_bytes = 0;  ///< of the whole process on its GPU; 0: none
  double max_delay_seconds = 0;       ///< see PipelineOptions::max_delay
  vision::DecodeOptions decode;
  video::SourceOptions source;
  int threads = 0;       ///< of the CPU engine; 0: all cores
  bool latency = false;  ///< each frame as fast as possible, instead of most frames a second
  int batch = 0;         ///< frames in one inference; 0: what suits the device
  int queue_depth = 4;   ///< decoded frames that wait, a stream
  int max_open_files = 8;
  std::optional<track::ByteTrackOptions> tracking;
  bool embeddings = false;  ///< of objects, by `reid_model`; of the picture, by a model that embeds
  std::string reid_model;   ///< path of an ONNX file or a plan; of no use without `embeddings`
  int reid_batch = 16;      ///< object crops in one inference
  std::string jsonl, mot, coco, annotate, contact_sheet;  ///< output paths; empty: not written
  std::string depth;   ///< folder of depth maps; empty: not written
  std::string ledger;  ///< a path, "audit", or empty
  int bit_rate = 0;    ///< of annotated video, bit/s; 0: chosen by picture size
};

/// A pipeline built from options: model read, engine compiled, task known, outputs named. Making
/// one does all the work that can fail before the first frame; sources are opened by
/// `Pipeline::run`.
struct Job {
  vision::TaskSpec task;                 ///< of the first model
  std::vector<std::string> labels;       ///< of all models
  std::string description;               ///< model, task and engine, a line a model, for people
  std::shared_ptr<const Engine> engine;  ///< of the first model
  std::unique_ptr<Pipeline> pipeline;
};

/// Throws `Error` that names the source, model, flag or path that is wrong. `extra_sinks` receive
/// every answer beside the files.
Job make_job(const JobOptions& options,
             std::vector<std::unique_ptr<output::Sink>> extra_sinks = {});

}  // namespace peregrine::pipeline
