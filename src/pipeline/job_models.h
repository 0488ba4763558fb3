// SPDX-License-Identifier: Apache-2.0
// The models of a run: read, compiled, and their classes counted together.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "peregrine/engine.h"
#include "pipeline/job.h"
#include "vision/predictor.h"

namespace peregrine::pipeline {

struct LoadedModel {
  std::shared_ptr<const Engine> engine;  ///< on the device that it runs on
  vision::TaskSpec task;
  std::string description;  ///< model, task and engine, in one line for people
};

/// `max_batch` 0: what suits the device and so many `streams`. Throws `Error` that names the model;
/// in strict mode also when it would run on the CPU.
LoadedModel load_model(const JobModel& model, const JobOptions& options, int max_batch,
                       int streams);

/// The models of a run, and what their classes are called together.
struct LoadedModels {
  std::vector<LoadedModel> models;
  std::vector<std::vector<int>> classes;  ///< of each but the first: which of the labels
  std::vector<std::string> labels;
};

/// All of `options.models`. Throws `Error(kUsage)` for those that cannot run side by side.
LoadedModels load_models(const JobOptions& options, int streams);

/// Each call makes one worker's. Throws `Error(kUsage)` where `decode.classes` leaves a further
/// model nothing to find.
std::function<std::unique_ptr<vision::Predictor>()> predictor_maker(
    LoadedModels loaded, const vision::DecodeOptions& decode);

/// Boxes, not an answer for the whole picture.
bool finds_objects(Task task);

}  // namespace peregrine::pipeline
