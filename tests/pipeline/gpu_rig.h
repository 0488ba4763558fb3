// SPDX-License-Identifier: Apache-2.0
// A pipeline on the GPU, from clips to remembered answers: the demo model's plan is built once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/cuda/gpu.h"
#include "pipeline/pipeline.h"
#include "video/gpu_clips.h"
#include "vision/task_spec.h"

namespace peregrine::testing {

/// models/demo/demo-detect.onnx, or its namesake in $PEREGRINE_DEMO_MODELS, where script/gpu-check
/// unpacked it; empty where it is neither here nor there.
std::string demo_model();

struct GpuModel {
  std::shared_ptr<const Engine> engine;
  vision::TaskSpec task;
};
/// Batches 1 and 4; the plan is built at the first call.
const GpuModel& gpu_model();
/// The same plan put on the GPU once more.
GpuModel load_gpu_model();

/// Low enough that the clips' test pictures have detections.
vision::DecodeOptions decode_options();

/// The folder of clips, "/" at its end; skips the running test, visibly, where there is no GPU, no
/// demo model or no clip.
#define PEREGRINE_GPU_PIPELINE(folder)                                                            \
  PEREGRINE_NEEDS_GPU();                                                                          \
  if (::peregrine::testing::demo_model().empty())                                                 \
    GTEST_SKIP() << "needs models/demo/demo-detect.onnx, or its folder in PEREGRINE_DEMO_MODELS"; \
  PEREGRINE_GPU_CLIP(folder, "")

/// What sinks and predictors of a run saw.
struct GpuRunLog {
  std::mutex mutex;
  std::map<int, std::vector<FrameResult>> results;  ///< by stream
  int written = 0;
  int finished = 0;                        ///< calls of Sink::finish
  int batches = 0, shared_batches = 0;     ///< with frames of several streams
  std::set<std::string> devices;           ///< of the frames that were predicted
  std::vector<std::uint64_t> allocations;  ///< calls of cudaMalloc so far, as each result came
};

struct GpuRig {
  std::vector<std::string> paths;
  pipeline::PipelineOptions options;
  bool decode_on_gpu = true;
  /// Called before each batch is submitted, with its number from 1.
  std::function<void(int batch)> before_batch;
  GpuRunLog log;

  GpuRig();
  std::unique_ptr<pipeline::Pipeline> make();
  pipeline::RunSummary run() { return make()->run(); }
};

}  // namespace peregrine::testing
