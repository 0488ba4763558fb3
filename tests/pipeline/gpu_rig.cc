// SPDX-License-Identifier: Apache-2.0
#include "pipeline/gpu_rig.h"

#include <cstdlib>
#include <filesystem>

#include "compiler/plan_file.h"
#include "engine/gpu_engine.h"
#include "video/clips.h"
#include "vision/picture_input.h"

namespace peregrine::testing {
namespace {

constexpr int kBatch = 4;

const compiler::Plan& demo_plan() {
  static const compiler::Plan plan = [] {
    engine::BuildRequest request;
    request.model = demo_model();
    request.batches = {1, kBatch};
    request.half_pixels = true;
    request.time_budget_seconds = 4;
    request.tactic_cache = false;
    return engine::build_plan(request).plan;
  }();
  return plan;
}

class WatchedPredictor : public vision::Predictor {
 public:
  WatchedPredictor(GpuRig& rig, std::unique_ptr<vision::Predictor> predictor)
      : rig_(rig), predictor_(std::move(predictor)) {}
  int max_batch() const override { return predictor_->max_batch(); }
  void submit(std::span<const Frame> frames) override {
    std::set<int> streams;
    int batch = 0;
    {
      const std::lock_guard lock(rig_.log.mutex);
      for (const Frame& frame : frames) {
        streams.insert(frame.info.stream);
        rig_.log.devices.insert(to_string(frame.device));
      }
      batch = ++rig_.log.batches;
      if (streams.size() > 1) ++rig_.log.shared_batches;
    }
    if (rig_.before_batch) rig_.before_batch(batch);
    predictor_->submit(frames);
  }
  vision::PredictTimes collect(std::span<FrameResult> results) override {
    return predictor_->collect(results);
  }

 private:
  GpuRig& rig_;
  const std::unique_ptr<vision::Predictor> predictor_;
};

class LogSink : public output::Sink {
 public:
  explicit LogSink(GpuRunLog& log) : log_(log) {}
  void open_stream(const output::StreamInfo&) override {}
  void write(const FrameResult& result, const Frame&) override {
    const std::lock_guard lock(log_.mutex);
    log_.results[result.frame.stream].push_back(result);
    log_.allocations.push_back(engine::gpu_memory(0).device_allocations);
    ++log_.written;
  }
  void finish() override { ++log_.finished; }
  std::vector<std::string> paths() const override { return {}; }

 private:
  GpuRunLog& log_;
};

}  // namespace

std::string demo_model() {
  const char* folder = std::getenv("PEREGRINE_DEMO_MODELS");
  const std::string path =
      std::string(folder ? folder : PEREGRINE_SOURCE_DIR "/models/demo") + "/demo-detect.onnx";
  return std::filesystem::exists(path) ? path : std::string();
}

GpuModel load_gpu_model() {
  GpuModel model;
  model.engine = engine::load_plan(demo_plan(), "demo-detect.plan", 0)->on_device();
  ModelInfo info = compiler::read_model_or_plan_info(demo_model());
  info.inputs = {vision::planar_spec(model.engine->inputs().at(0))};
  info.outputs = model.engine->outputs();
  model.task = vision::identify_task(info, {});
  return model;
}

const GpuModel& gpu_model() {
  static const GpuModel model = load_gpu_model();
  return model;
}

vision::DecodeOptions decode_options() {
  vision::DecodeOptions options;
  options.confidence = 0.05f;
  return options;
}

GpuRig::GpuRig() {
  options.workers = 2;
  options.batch = kBatch;
  options.max_open_files = 64;
  options.window = 4;
  options.max_delay = std::chrono::milliseconds(5);
}

std::unique_ptr<pipeline::Pipeline> GpuRig::make() {
  std::vector<pipeline::StreamSpec> streams;
  for (const std::string& path : paths) {
    pipeline::StreamSpec stream;
    stream.source = video::expand_sources({path}).at(0);
    if (decode_on_gpu) stream.options = on_gpu();
    stream.options.gpu.held_frames = options.queue_depth + options.window + 2;
    stream.open = [source = stream.source, each = stream.options](const std::atomic<bool>&) {
      return video::open_source(source, each);
    };
    streams.push_back(std::move(stream));
  }
  std::vector<std::unique_ptr<output::Sink>> sinks;
  sinks.push_back(std::make_unique<LogSink>(log));
  const auto make_predictor = [this]() -> std::unique_ptr<vision::Predictor> {
    return std::make_unique<WatchedPredictor>(
        *this, vision::make_gpu_predictor(gpu_model().engine, gpu_model().task, decode_options()));
  };
  return std::make_unique<pipeline::Pipeline>(options, std::move(streams), make_predictor, nullptr,
                                              std::move(sinks));
}

}  // namespace peregrine::testing
