// SPDX-License-Identifier: Apache-2.0
// peregrine build MODEL.onnx -o MODEL.plan: compiles a model for the GPU of this machine.
#include <algorithm>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/inspect_parts.h"
#include "cli/status_line.h"
#include "compiler/plan_file.h"
#include "compiler/step_facts.h"
#include "core/log.h"
#include "core/machine.h"
#include "engine/factory.h"

namespace peregrine::cli {
namespace {

struct Options {
  engine::BuildRequest request;
  std::string output;
  std::string device = "cuda";
  int image_size = 0;
  bool no_cache = false;
  int slowest = 10;  // nodes shown
};

std::string fusions_text(const std::vector<compiler::PassReport>& passes) {
  Table table({"pass", "places", "nodes left"});
  for (const compiler::PassReport& pass : passes) {
    if (pass.changed == 0) continue;
    table.add({pass.name, std::to_string(pass.changed), std::to_string(pass.nodes)});
  }
  return table.text(2);
}

std::string slowest_text(const engine::GpuEngine& engine, int count) {
  const compiler::Program& program = engine.plan().programs.front();
  const std::vector<double> times = engine.time_steps(0);
  std::vector<std::size_t> order(times.size());
  double sum = 0;
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i, sum += times[i];
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return times[a] > times[b]; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  Table table({"us", "share", "precision", "kernel", "tactic", "node"});
  for (const std::size_t i : order) {
    const compiler::Step& step = program.steps[i];
    table.add({fmt::format("{:.2f}", times[i]), fmt::format("{:.1f}%", 100 * times[i] / sum),
               compiler::step_precision(step), step.kernel, step.tactic, one_line(step.name)});
  }
  return fmt::format("slowest nodes at batch {}:\n{}", program.batch, table.text(2));
}

std::string sizes_text(const engine::GpuEngine& engine) {
  Table table({"batch", "nodes", "arena", "one run"});
  for (const compiler::Program& program : engine.plan().programs) {
    table.add({std::to_string(program.batch), std::to_string(program.steps.size()),
               format_bytes(static_cast<std::int64_t>(program.arena_bytes)),
               fmt::format("{:.3f} ms", program.microseconds / 1e3)});
  }
  return fmt::format("weights {}\n{}",
                     format_bytes(static_cast<std::int64_t>(engine.weight_bytes())), table.text(2));
}

int run(Options options) {
  set_log_level(spdlog::level::warn);
  engine::BuildRequest& request = options.request;
  request.device = engine::parse_cuda_device(options.device);
  request.height = request.width = options.image_size;
  request.tactic_cache = !options.no_cache;
  std::sort(request.batches.begin(), request.batches.end());
  if (options.output.empty()) {
    options.output = std::filesystem::path(request.model).replace_extension(".plan").string();
  }
  StatusLine line;
  request.progress = [&line](const engine::BuildStatus& status) { line.show(to_string(status)); };
  engine::BuildResult built = engine::build_plan(request);
  line.clear();
  compiler::write_plan(built.plan, options.output);
  const auto engine = engine::load_plan(std::move(built.plan), options.output, request.device);
  fmt::print(stderr,
             "fusions at batch {}:\n{}\n{}\n{}\n"
             "built in {:.1f} s: {} tactics timed, {} taken from the cache\n  wrote {}\n",
             request.batches.front(), fusions_text(built.passes),
             slowest_text(*engine, options.slowest), sizes_text(*engine), built.seconds,
             built.tactics_timed, built.tactics_from_cache, options.output);
  return 0;
}

}  // namespace

void add_build(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("build", "Compile a model into a plan for the GPU of this machine");
  const auto options = std::make_shared<Options>();
  engine::BuildRequest& request = options->request;
  command->add_option("MODEL", request.model, "ONNX file")->required();
  command->add_option("-o,--output", options->output, "The plan; MODEL.plan when not given");
  command->add_option("--precision", request.precision, "fp16 or fp32")
      ->check(CLI::IsMember({"fp16", "fp32"}));
  command->add_option("--batch", request.batches, "Batches to build, such as 1,8,32")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  command
      ->add_option("--workspace", request.workspace_bytes,
                   "Device memory that activations may take, such as 4G")
      ->transform(CLI::AsSizeValue(false));
  command
      ->add_option(
          "--time-budget", request.time_budget_seconds,
          "Seconds of tuning, such as 30 or 30s; nodes left then keep the predicted choice")
      ->transform([](std::string text) {
        if (text.size() > 1 && text.ends_with('s')) text.pop_back();
        return text;
      })
      ->check(CLI::NonNegativeNumber);
  command->add_option("--device", options->device, "cuda or cuda:N");
  command
      ->add_option("--imgsz", options->image_size,
                   "Side of the input, where the model leaves it open")
      ->check(CLI::Range(1, 8192));
  command->add_flag("--no-cache", options->no_cache, "Measure every tactic anew, and keep none");
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace peregrine::cli
