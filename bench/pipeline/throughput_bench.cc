// SPDX-License-Identifier: Apache-2.0
// How much of the engine's bare throughput is left when it works on a video: the engine alone on a
// fixed input, and the whole `run` (decode, preprocess, inference, NMS, tracking, JSONL), in turn,
// in one process.
//
//   bench_throughput VIDEO MODEL.onnx [ROUNDS]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/machine.h"
#include "core/stopwatch.h"
#include "pipeline/job.h"

namespace {

using namespace peregrine;  // NOLINT: a program, not a header

std::vector<Tensor> tensors_of(const std::vector<TensorSpec>& specs) {
  std::vector<Tensor> tensors;
  for (TensorSpec spec : specs) {
    spec.shape[0] = 1;
    tensors.push_back(Tensor::zeros(spec.dtype, spec.shape));
  }
  return tensors;
}

std::vector<TensorView> views_of(std::vector<Tensor>& tensors) {
  std::vector<TensorView> views;
  for (Tensor& tensor : tensors) views.push_back(tensor.view());
  return views;
}

// Inputs and outputs of one context; the input is noise, as some kernels are faster on zeros.
struct Binding {
  explicit Binding(const Engine& engine)
      : inputs(tensors_of(engine.inputs())), outputs(tensors_of(engine.outputs())) {
    std::uint32_t seed = 1;
    for (float& value : inputs[0].as<float>()) {
      value = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24);
    }
  }
  void infer(ExecutionContext& context) {
    context.enqueue(views_of(inputs), views_of(outputs), 1);
    context.wait();
  }
  std::vector<Tensor> inputs, outputs;
};

// As many pictures a second as the engine takes when nothing else is to do.
double bare_throughput(const Engine& engine, int frames) {
  const int contexts = engine.recommended_contexts() + 1;
  const Stopwatch watch;
  std::vector<std::thread> threads;
  for (int c = 0; c < contexts; ++c) {
    threads.emplace_back([&, c] {
      const auto context = engine.create_context();
      Binding binding(engine);
      for (int i = c; i < frames; i += contexts) binding.infer(*context);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return frames / watch.seconds();
}

// An engine that has its answer ready: what a run costs with it is everything but inference.
class InstantEngine : public Engine {
 public:
  explicit InstantEngine(std::shared_ptr<const Engine> engine)
      : engine_(std::move(engine)), binding_(*engine_) {
    binding_.infer(*engine_->create_context());
  }
  const std::vector<TensorSpec>& inputs() const override { return engine_->inputs(); }
  const std::vector<TensorSpec>& outputs() const override { return engine_->outputs(); }
  int max_batch() const override { return 1; }
  Device device() const override { return engine_->device(); }
  std::string description() const override { return "an answer that is ready"; }
  std::unique_ptr<ExecutionContext> create_context() const override {
    return std::make_unique<Context>(binding_.outputs);
  }

 private:
  class Context : public ExecutionContext {
   public:
    explicit Context(const std::vector<Tensor>& answer) : answer_(answer) {}
    // The caller's tensors stay the same and nobody else writes them: once is enough.
    void enqueue(std::span<const TensorView>, std::span<const TensorView> outputs, int,
                 StreamHandle) override {
      for (std::size_t i = 0; !written_ && i < outputs.size(); ++i) {
        std::memcpy(outputs[i].data, answer_[i].data(), answer_[i].bytes());
      }
      written_ = true;
    }
    void wait() override {}

   private:
    const std::vector<Tensor>& answer_;
    bool written_ = false;
  };
  const std::shared_ptr<const Engine> engine_;
  Binding binding_;
};

// CPU time of a frame in decode, preprocess, output decoding, NMS, tracking and JSONL together.
double overhead_cpu_ms(const pipeline::Job& job, const pipeline::JobOptions& options) {
  const auto engine = std::make_shared<const InstantEngine>(job.engine);
  std::vector<pipeline::StreamSpec> streams(1);
  streams[0].source = video::expand_sources(options.sources).front();
  streams[0].open = [&](const std::atomic<bool>&) {
    return video::open_source(streams[0].source, options.source);
  };
  std::vector<std::unique_ptr<output::Sink>> sinks;
  sinks.push_back(output::make_jsonl_sink(options.jsonl, job.task.labels));
  pipeline::PipelineOptions wiring;
  wiring.tracking = options.tracking;
  pipeline::Pipeline whole(
      wiring, {streams[0]},
      [&] { return vision::make_cpu_predictor(engine, job.task, options.decode); }, nullptr,
      std::move(sinks));
  const double cpu_before = process_cpu_seconds();
  const pipeline::RunSummary summary = whole.run();
  return 1e3 * (process_cpu_seconds() - cpu_before) / static_cast<double>(summary.frames);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: {} VIDEO MODEL.onnx [ROUNDS]\n", argv[0]);
    return 2;
  }
  pipeline::JobOptions options;
  options.sources = {argv[1]};
  options.models.push_back({argv[2], {}});
  options.tracking.emplace();
  options.jsonl = "/dev/null";
  const int rounds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 3;

  std::vector<double> ratios, bare_fps, run_fps, overhead_ms;
  std::int64_t detections = -1;
  for (int round = 0; round < rounds; ++round) {
    auto job = pipeline::make_job(options);
    const pipeline::RunSummary summary = job.pipeline->run();
    if (summary.exit_code() != 0 || summary.frames == 0 ||
        (detections >= 0 && summary.streams[0].detections != detections)) {
      fmt::print(stderr, "wrong answer: exit code {}, {} frames, {} detections\n",
                 summary.exit_code(), summary.frames, summary.streams[0].detections);
      return 1;
    }
    detections = summary.streams[0].detections;
    const double fps = static_cast<double>(summary.frames) / summary.seconds;
    run_fps.push_back(fps);
    bare_fps.push_back(bare_throughput(*job.engine, static_cast<int>(summary.frames)));
    ratios.push_back(fps / bare_fps.back());
    overhead_ms.push_back(overhead_cpu_ms(job, options));
    fmt::print(stderr,
               "round {}: run {:.2f} fps, bare {:.2f} fps, ratio {:.3f}, {:.2f} ms of CPU a frame "
               "beside inference\n",
               round + 1, fps, bare_fps.back(), ratios.back(), overhead_ms.back());
  }
  fmt::print(
      "{{\"bench\":\"throughput\",\"run_fps\":{:.2f},\"bare_fps\":{:.2f},\"ratio\":{:.4f},"
      "\"overhead_cpu_ms_per_frame\":{:.3f},\"threads\":{},\"rounds\":{}}}\n",
      median(run_fps), median(bare_fps), median(ratios), median(overhead_ms),
      std::thread::hardware_concurrency(), rounds);
  return 0;
}
