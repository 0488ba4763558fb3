// SPDX-License-Identifier: Apache-2.0
// peregrine run SOURCE... --model M: arguments in, progress and a summary out.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/ledger_report.h"
#include "cli/progress.h"
#include "cli/settings_flags.h"
#include "core/log.h"
#include "pipeline/job_options.h"

namespace peregrine::cli {
namespace {

struct Arguments {
  std::vector<std::string> sources;
  std::vector<std::string> models;
};

// What Ctrl-C stops: nothing yet while the model is compiled, then the pipeline.
class Stoppable {
 public:
  void set(pipeline::Pipeline* pipeline) {
    const std::lock_guard lock(mutex_);
    pipeline_ = pipeline;
    if (stopped_ && pipeline_) pipeline_->stop();
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (pipeline_) pipeline_->stop();
  }

 private:
  std::mutex mutex_;
  pipeline::Pipeline* pipeline_ = nullptr;
  bool stopped_ = false;
};

bool writes_nothing(const pipeline::JobOptions& options) {
  return options.jsonl.empty() && options.mot.empty() && options.coco.empty() &&
         options.contact_sheet.empty() && options.annotate.empty() && options.depth.empty();
}

void report(const pipeline::RunSummary& summary, const pipeline::Job& job, bool wrote_nothing) {
  if (summary.frames > 0) {
    fmt::print(stderr, "{}\n{}", job.description, summary_text(summary, job.labels));
  }
  for (const std::string& path : summary.outputs) fmt::print(stderr, "  wrote {}\n", path);
  if (wrote_nothing && summary.frames > 0) {
    fmt::print(stderr,
               "  nothing was written; add --jsonl FILE (or - for standard output) or --annotate "
               "OUT.mp4\n");
  }
  for (const pipeline::StreamSummary& stream : summary.streams) {
    if (stream.error) fmt::print(stderr, "peregrine: error: {}\n", stream.error->what());
  }
  if (summary.fatal) fmt::print(stderr, "peregrine: error: {}\n", summary.fatal->what());
}

int run(const Arguments& arguments, const SettingsFlags& flags) {
  // First of all: whoever asks a GPU driver for its devices (a hardware profile does) or opens a
  // source has threads of theirs, and one that does not block an interrupt takes it from us.
  Stoppable stoppable;
  const InterruptGuard interrupts([&stoppable] { stoppable.stop(); });
  const Settings settings = pipeline::settings_for_sources(flags.settings(), arguments.sources);
  set_log_level(spdlog::level::from_str(settings.log.level));
  signal(SIGPIPE, SIG_IGN);  // a closed pipe is an output error with a message
  pipeline::JobOptions options =
      pipeline::job_options(settings, arguments.sources, arguments.models);
  const ProgressMode mode = progress_mode(settings.output.progress);
  // A program that reads us wants data; a person wants to be told how to get it.
  bool wrote_nothing = writes_nothing(options);
  if (wrote_nothing && !isatty(STDOUT_FILENO)) {
    options.jsonl = "-";
    wrote_nothing = false;
  }

  if (mode == ProgressMode::kTerminal) {
    fmt::print(stderr, "compiling the model ...");
    options.build_progress = [](const std::string& line) {
      fmt::print(stderr, "\r\x1b[K{}", line);
    };
  }
  const pipeline::Job job = pipeline::make_job(options);
  if (mode == ProgressMode::kTerminal) fmt::print(stderr, "\r\x1b[K");
  stoppable.set(job.pipeline.get());
  LedgerReport ledger(options.ledger);
  pipeline::RunSummary summary;
  {
    const ProgressReporter progress(mode, [&job] { return job.pipeline->progress(); });
    summary = job.pipeline->run();
  }
  stoppable.set(nullptr);
  report(summary, job, wrote_nothing);
  ledger.finish(summary);
  return summary.exit_code();
}

}  // namespace

void add_run(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("run", "Run a model on videos, cameras and pictures");
  auto arguments = std::make_shared<Arguments>();
  command
      ->add_option(
          "SOURCE", arguments->sources,
          "Video, folder, glob, .txt list of sources, rtsp:// or http:// address, - for a pipe")
      ->required();
  command
      ->add_option("--model,-m", arguments->models,
                   "ONNX file or plan, or the name of a [[models]] table; several times: their "
                   "answers are merged")
      ->allow_extra_args(false);
  const SettingsFlags flags(*command);
  command->callback([&action, arguments, flags] {
    action = [arguments, flags] { return run(*arguments, flags); };
  });
}

}  // namespace peregrine::cli
