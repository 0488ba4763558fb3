// SPDX-License-Identifier: Apache-2.0
// peregrine bench MODEL: how fast a model runs here. Its answer is checked before it is timed: a
// wrong fast answer is no answer. With videos and --model, bench_streams.cc answers instead.
#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/bench_streams.h"
#include "cli/cli.h"
#include "cli/inspect_parts.h"
#include "cli/status_line.h"
#include "compiler/plan_file.h"
#include "compiler/step_facts.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/stopwatch.h"
#include "engine/factory.h"
#include "engine/openvino/openvino_engine.h"
#include "eval/validation.h"
#include "peregrine/error.h"
#include "peregrine/version.h"

namespace peregrine::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, against, json, device = "auto", precision = "auto";
  std::vector<int> batches = {1};
  double seconds = 2;  // of timing, a batch
  int image_size = 0;
  double tolerance = 2e-2;
  bool per_node = false, unchecked = false;
};

// One node of a program, measured in a chain of its own.
struct NodeTime {
  const compiler::Step* step;
  double us = 0;
  double roofline = 0;  // share of what the GPU could do at best: its memory or its tensor cores
};

struct BatchResult {
  int batch = 0;
  engine::RunTimes device;      // inputs and outputs on the device; runs 0 where there is none
  engine::RunTimes round_trip;  // of a caller with host tensors, one batch at a time
  double error = -1;            // largest relative L2 of an output; -1: not checked
  std::vector<NodeTime> nodes;
  /// Pictures a second.
  double throughput() const {
    const engine::RunTimes& best = device.runs > 0 ? device : round_trip;
    return batch * 1e6 / best.mean_us;
  }
};

engine::RunTimes time_round_trips(const Engine& engine, std::span<const TensorView> inputs,
                                  int batch, double seconds) {
  eval::EngineRun once(engine);
  for (int i = 0; i < 3; ++i) once(inputs, batch);
  std::vector<double> us;
  const Stopwatch whole;
  while (us.size() < 5 || (whole.seconds() < seconds && us.size() < 5000)) {
    const Stopwatch watch;
    once(inputs, batch);
    us.push_back(1e6 * watch.seconds());
  }
  return engine::summarize(std::move(us));
}

std::vector<NodeTime> time_nodes(const engine::GpuEngine& gpu, int batch) {
  std::vector<NodeTime> nodes;
  const auto& programs = gpu.plan().programs;
  const auto program = std::find_if(programs.begin(), programs.end(),
                                    [&](const auto& each) { return each.batch == batch; });
  if (program == programs.end()) return nodes;  // run by others
  const auto times = gpu.time_steps(static_cast<std::size_t>(program - programs.begin()));
  const engine::GpuEngine::Peak peak = gpu.peak();
  for (std::size_t i = 0; i < times.size(); ++i) {
    const compiler::Step& step = program->steps[i];
    const double best =
        std::max(static_cast<double>(compiler::step_bytes(step)) / peak.bytes_per_second,
                 static_cast<double>(step.flops) / peak.flops_per_second);
    nodes.push_back({&step, times[i], times[i] > 0 ? 1e6 * best / times[i] : 0});
  }
  return nodes;
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    engine::EngineOptions wanted;
    wanted.max_batch = *std::max_element(options.batches.begin(), options.batches.end());
    wanted.input_height = wanted.input_width = options.image_size;
    wanted.precision = options.precision;
    wanted.batches = options.batches;
    wanted.progress = [this](const std::string& text) { line_.show(text); };
    engine_ = engine::make_engine(options.model, options.device, wanted);
    gpu_ = dynamic_cast<const engine::GpuEngine*>(engine_.get());
    line_.clear();
  }

  std::vector<BatchResult> run() {
    std::vector<BatchResult> results;
    for (const int batch : options_.batches) {
      if (batch > engine_->max_batch()) {
        throw Error(ErrorCode::kUsage, fmt::format("'{}' takes batches up to {}, not {}",
                                                   options_.model, engine_->max_batch(), batch));
      }
      line_.show(fmt::format("batch {}", batch));
      eval::ModelInputs inputs(engine_->inputs(), 1, batch);
      inputs.next(batch);
      BatchResult result;
      result.batch = batch;
      result.error = check(inputs.views(), batch);
      const std::vector<TensorView> views = inputs.views();
      result.round_trip = time_round_trips(*engine_, views, batch, options_.seconds);
      if (gpu_) result.device = gpu_->time_on_device(views, batch, options_.seconds);
      if (gpu_ && options_.per_node) result.nodes = time_nodes(*gpu_, batch);
      results.push_back(std::move(result));
    }
    line_.clear();
    return results;
  }

  const Engine& engine() const { return *engine_; }
  const engine::GpuEngine* gpu() const { return gpu_; }
  bool checks() const { return !reference_path().empty(); }

 private:
  // An ONNX file is its own reference; a plan needs to be told its own.
  std::string reference_path() const {
    if (options_.unchecked) return "";
    if (!options_.against.empty()) return options_.against;
    return compiler::is_plan_file(options_.model) ? "" : options_.model;
  }

  double check(std::span<const TensorView> inputs, int batch) {
    if (!checks()) return -1;
    if (!reference_) {
      engine::OpenVinoOptions wanted;
      wanted.max_batch = std::min(engine_->max_batch(), 4);
      const Shape& shape = engine_->inputs().front().shape;
      if (shape.size() == 4) {
        wanted.input_height = static_cast<int>(shape[2]);
        wanted.input_width = static_cast<int>(shape[3]);
      }
      reference_ = engine::make_openvino_engine(reference_path(), wanted);
    }
    eval::EngineRun run(*engine_), run_reference(*reference_);
    const auto actual = run(inputs, batch), expected = run_reference(inputs, batch);
    double worst = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      eval::OutputDifference difference(engine_->outputs()[i].name);
      difference.add(actual[i], expected[i]);
      const double error = difference.relative_l2();
      if (!(error <= options_.tolerance)) {
        throw Error(ErrorCode::kEngine,
                    fmt::format("not timed: output '{}' at batch {} is wrong (relative L2 {:.3g} "
                                "from the FP32 reference, allowed {:g}); 'peregrine validate' with "
                                "--bisect finds the node",
                                difference.name(), batch, error, options_.tolerance));
      }
      worst = std::max(worst, error);
    }
    return worst;
  }

  const Options& options_;
  StatusLine line_;
  std::unique_ptr<Engine> engine_;
  const engine::GpuEngine* gpu_ = nullptr;
  std::unique_ptr<Engine> reference_;
};

std::string ms(double us) { return fmt::format("{:.3f}", us / 1e3); }

std::string batches_text(const std::vector<BatchResult>& results) {
  Table table({"batch", "p50 ms", "p95 ms", "p99 ms", "pictures/s", "round trip ms", "error"});
  for (const BatchResult& each : results) {
    const engine::RunTimes& times = each.device.runs > 0 ? each.device : each.round_trip;
    table.add({std::to_string(each.batch), ms(times.p50_us), ms(times.p95_us), ms(times.p99_us),
               fmt::format("{:.0f}", each.throughput()), ms(each.round_trip.p50_us),
               each.error < 0 ? "not checked" : fmt::format("{:.1e}", each.error)});
  }
  return table.text();
}

std::string nodes_text(const BatchResult& result) {
  if (result.nodes.empty()) return "";
  double sum = 0;
  for (const NodeTime& each : result.nodes) sum += each.us;
  std::vector<NodeTime> order = result.nodes;
  std::stable_sort(order.begin(), order.end(),
                   [](const NodeTime& a, const NodeTime& b) { return a.us > b.us; });
  Table table({"us", "share", "roofline", "FLOP", "bytes", "kernel", "tactic", "node"});
  for (const NodeTime& each : order) {
    table.add({fmt::format("{:.2f}", each.us), fmt::format("{:.1f}%", 100 * each.us / sum),
               fmt::format("{:.0f}%", 100 * each.roofline), scaled(each.step->flops),
               scaled(compiler::step_bytes(*each.step)), each.step->kernel, each.step->tactic,
               one_line(each.step->name)});
  }
  return fmt::format("\nbatch {}: {} nodes, {:.1f} us when each runs by itself\n{}", result.batch,
                     order.size(), sum, table.text(2));
}

std::string memory_text(const engine::GpuEngine* gpu) {
  if (!gpu) return "";
  return fmt::format("device memory: weights {}, each context {}\n",
                     format_bytes(static_cast<std::int64_t>(gpu->weight_bytes())),
                     format_bytes(static_cast<std::int64_t>(gpu->context_bytes())));
}

std::string clocks_text(const GpuClocks& clocks) {
  if (clocks.sm_mhz == 0) return "";
  return fmt::format("clocks: {} of {} MHz, memory {} of {} MHz; {:.0f} W, {} degrees; driver {}\n",
                     clocks.sm_mhz, clocks.max_sm_mhz, clocks.memory_mhz, clocks.max_memory_mhz,
                     clocks.watts, clocks.celsius, clocks.driver_version);
}

Json times_json(const engine::RunTimes& times) {
  if (times.runs == 0) return nullptr;
  return {{"p50_ms", times.p50_us / 1e3},
          {"p95_ms", times.p95_us / 1e3},
          {"p99_ms", times.p99_us / 1e3},
          {"mean_ms", times.mean_us / 1e3},
          {"runs", times.runs}};
}

Json batch_json(const BatchResult& result) {
  Json json = {{"batch", result.batch},
               {"on_device", times_json(result.device)},
               {"round_trip", times_json(result.round_trip)},
               {"pictures_per_second", result.throughput()},
               {"relative_l2", result.error < 0 ? Json() : Json(result.error)}};
  for (const NodeTime& each : result.nodes) {
    json["nodes"].push_back({{"name", each.step->name},
                             {"kernel", each.step->kernel},
                             {"tactic", each.step->tactic},
                             {"microseconds", each.us},
                             {"bytes", compiler::step_bytes(*each.step)},
                             {"flops", each.step->flops},
                             {"roofline_share", each.roofline}});
  }
  return json;
}

std::string as_json(const Options& options, const Bench& bench,
                    const std::vector<BatchResult>& results, const GpuClocks& clocks) {
  Json batches = Json::array();
  for (const BatchResult& each : results) batches.push_back(batch_json(each));
  Json json = {{"schema", 1},
               {"version", version()},
               {"model", options.model},
               {"engine", bench.engine().description()},
               {"checked", bench.checks()},
               {"cpu", probe_host().cpu_model},
               {"batches", batches}};
  if (const engine::GpuEngine* gpu = bench.gpu()) {
    const engine::GpuEngine::Peak peak = gpu->peak();
    json["gpu"] = {{"name", gpu->plan().identity.device_name},
                   {"driver", clocks.driver_version},
                   {"sm_mhz", clocks.sm_mhz},
                   {"max_sm_mhz", clocks.max_sm_mhz},
                   {"memory_mhz", clocks.memory_mhz},
                   {"max_memory_mhz", clocks.max_memory_mhz},
                   {"watts", clocks.watts},
                   {"celsius", clocks.celsius},
                   {"peak_bytes_per_second", peak.bytes_per_second},
                   {"peak_flops_per_second", peak.flops_per_second},
                   {"weight_bytes", gpu->weight_bytes()},
                   {"context_bytes", gpu->context_bytes()},
                   {"precision", gpu->plan().identity.precision}};
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int run(Options options) {
  set_log_level(spdlog::level::warn);
  std::sort(options.batches.begin(), options.batches.end());
  Bench bench(options);
  const std::vector<BatchResult> results = bench.run();
  // Right after the work: clocks fall soon.
  const GpuClocks clocks = bench.gpu() ? probe_gpu_clocks(bench.gpu()->gpu().index) : GpuClocks{};
  if (!options.json.empty()) save(options.json, as_json(options, bench, results, clocks));
  if (options.json == "-") return 0;
  std::string text =
      fmt::format("{} on {}\n{}{}\n{}", options.model, bench.engine().description(),
                  memory_text(bench.gpu()), clocks_text(clocks), batches_text(results));
  for (const BatchResult& each : results) text += nodes_text(each);
  if (!bench.checks()) {
    text += "\nThe answer was not checked; --against MODEL.onnx does.\n";
  }
  print(text);
  return 0;
}

}  // namespace

void add_bench(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "bench", "How fast a model runs on this machine, or how many cameras it serves");
  const auto options = std::make_shared<Options>();
  const auto arguments = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("MODEL", *arguments,
                   "ONNX file or plan; with --model, videos to be played as cameras")
      ->required();
  const StreamBench streams(*command);
  const std::string group = "How fast a model is";
  auto* model = command->get_option("--model");
  const auto add = [&](CLI::Option* option) { option->excludes(model)->group(group); };
  add(command->add_option("--batch", options->batches, "Batches to time, such as 1,8,32")
          ->delimiter(',')
          ->check(CLI::Range(1, 4096)));
  add(command->add_option("--against", options->against,
                          "ONNX file that a plan's answers are checked with"));
  add(command->add_flag("--unchecked", options->unchecked, "Time without checking the answer"));
  add(command->add_option("--tolerance", options->tolerance, "Relative L2 allowed of any output")
          ->check(CLI::PositiveNumber));
  add(command->add_flag("--per-node", options->per_node, "Time each node of a plan"));
  add(command
          ->add_option("--imgsz", options->image_size,
                       "Side of the input, where the model leaves it open")
          ->check(CLI::Range(1, 8192)));
  auto* seconds = command
                      ->add_option("--seconds", options->seconds,
                                   "Of timing: each batch (2), or each number of streams (5)")
                      ->check(CLI::Range(0.01, 600.0));
  auto* device = command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N");
  auto* precision =
      command
          ->add_option("--precision", options->precision, "Of an ONNX file on a GPU: fp16 or fp32")
          ->check(CLI::IsMember({"auto", "fp16", "fp32"}));
  command->add_option("--json", options->json, "The figures as JSON; - for stdout");
  command->callback([=, &action] {
    if (streams.asked()) {
      StreamBench::General general;
      general.sources = *arguments;
      general.json = options->json;
      if (device->count() > 0) general.device = options->device;
      if (precision->count() > 0) general.precision = options->precision;
      if (seconds->count() > 0) general.seconds = options->seconds;
      action = [streams, general] { return streams.run(general); };
      return;
    }
    if (arguments->size() > 1) {
      throw Error(ErrorCode::kUsage,
                  fmt::format("bench times one model, not {}; for videos, name their model with "
                              "--model",
                              arguments->size()));
    }
    options->model = arguments->front();
    action = [options] { return run(*options); };
  });
}

}  // namespace peregrine::cli
