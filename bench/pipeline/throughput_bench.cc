// SPDX-License-Identifier: Apache-2.0
// How much of the engine's bare throughput is left when it works on a video: the engine alone on a
// fixed input, and the whole `run` (decode, preprocess, inference, NMS, tracking, JSONL), in turn,
// in one process.
//
//   bench_throughput VIDEO MODEL.onnx [ROUNDS]
#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "core/stopwatch.h"
#include "pipeline/job.h"

namespace {

using namespace peregrine;  // NOLINT: a program, not a header

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Measurement {
  double fps = 0;
  double cpu_ms_per_frame = 0;
};

// As many pictures a second as the engine takes when nothing else is to do.
Measurement bare_throughput(const Engine& engine, int frames) {
  const int contexts = engine.recommended_contexts() + 1;
  const Stopwatch watch;
  const double cpu_before = cpu_seconds();
  std::vector<std::thread> threads;
  for (int c = 0; c < contexts; ++c) {
    threads.emplace_back([&, c] {
      const auto context = engine.create_context();
      const auto tensors_of = [](const std::vector<TensorSpec>& specs) {
        std::vector<Tensor> tensors;
        for (TensorSpec spec : specs) {
          spec.shape[0] = 1;
          tensors.push_back(Tensor::zeros(spec.dtype, spec.shape));
        }
        return tensors;
      };
      auto inputs = tensors_of(engine.inputs()), outputs = tensors_of(engine.outputs());
      std::uint32_t seed = 1;  // not zeros: some kernels are faster on them
      for (float& value : inputs[0].as<float>())
        value = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24);
      std::vector<TensorView> in, out;
      for (Tensor& tensor : inputs) in.push_back(tensor.view());
      for (Tensor& tensor : outputs) out.push_back(tensor.view());
      for (int i = c; i < frames; i += contexts) {
        context->enqueue(in, out, 1);
        context->wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return {frames / watch.seconds(), 1e3 * (cpu_seconds() - cpu_before) / frames};
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
  options.model = argv[2];
  options.tracking.emplace();
  options.jsonl = "/dev/null";
  const int rounds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 3;

  std::vector<double> ratios, bare_fps, run_fps, extra_cpu_ms;
  std::int64_t detections = -1;
  for (int round = 0; round < rounds; ++round) {
    auto job = pipeline::make_job(options);
    const double cpu_before = cpu_seconds();
    const pipeline::RunSummary summary = job.pipeline->run();
    const double cpu = cpu_seconds() - cpu_before;
    if (summary.exit_code() != 0 || summary.frames == 0 ||
        (detections >= 0 && summary.streams[0].detections != detections)) {
      fmt::print(stderr, "wrong answer: exit code {}, {} frames, {} detections\n",
                 summary.exit_code(), summary.frames, summary.streams[0].detections);
      return 1;
    }
    detections = summary.streams[0].detections;
    const double fps = static_cast<double>(summary.frames) / summary.seconds;
    const Measurement bare = bare_throughput(*job.engine, static_cast<int>(summary.frames));
    run_fps.push_back(fps);
    bare_fps.push_back(bare.fps);
    ratios.push_back(fps / bare.fps);
    extra_cpu_ms.push_back(1e3 * cpu / static_cast<double>(summary.frames) - bare.cpu_ms_per_frame);
    fmt::print(stderr,
               "round {}: run {:.2f} fps, bare {:.2f} fps, ratio {:.3f}, {:.2f} ms of CPU a frame "
               "beside inference\n",
               round + 1, fps, bare.fps, ratios.back(), extra_cpu_ms.back());
  }
  fmt::print(
      "{{\"bench\":\"throughput\",\"run_fps\":{:.2f},\"bare_fps\":{:.2f},\"ratio\":{:.4f},"
      "\"extra_cpu_ms_per_frame\":{:.3f},\"threads\":{},\"rounds\":{}}}\n",
      median(run_fps), median(bare_fps), median(ratios), median(extra_cpu_ms),
      std::thread::hardware_concurrency(), rounds);
  return 0;
}
