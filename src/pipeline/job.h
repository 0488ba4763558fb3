// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
#include "vision/output_decoder.h"
#include "vision/task_spec.h"

namespace peregrine::pipeline {

/// Everything one `peregrine run` was asked for, typed and checked.
struct JobOptions {
  std::vector<std::string> sources;  ///< as `video::expand_sources` takes them
  std::string model;                 ///< path of an ONNX file
  std::string device = "auto";
  vision::TaskOverrides overrides;
  vision::DecodeOptions decode;
  video::SourceOptions source;
  int threads = 0;  ///< of the CPU engine; 0: all cores
  int batch = 0;    ///< frames an inference takes; 0: what suits the device
  int queue_depth = 4;
  int max_open_files = 8;
  std::optional<track::ByteTrackOptions> tracking;
  std::string reid_model;  ///< path of an ONNX file; embeddings are computed when it is given
  std::string jsonl, mot, coco, annotate;  ///< output paths; empty: not written
};

/// A pipeline built from options: model read, engine compiled, task known, outputs named. Making
/// one does all the work that can fail before the first frame; sources are opened by
/// `Pipeline::run`.
struct Job {
  vision::TaskSpec task;
  std::shared_ptr<const Engine> engine;
  std::unique_ptr<Pipeline> pipeline;
  std::vector<std::string> output_paths;
};

/// Throws `Error` that names the source, model, flag or path that is wrong. `extra_sinks` receive
/// every answer beside the files.
Job make_job(const JobOptions& options,
             std::vector<std::unique_ptr<output::Sink>> extra_sinks = {});

}  // namespace peregrine::pipeline
