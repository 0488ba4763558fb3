// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_streams.h"

#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/load_chart.h"
#include "cli/settings_flags.h"
#include "cli/status_line.h"
#include "core/log.h"
#include "core/machine.h"
#include "peregrine/error.h"
#include "peregrine/version.h"
#include "pipeline/capacity.h"
#include "pipeline/job_options.h"

namespace peregrine::cli {

using Json = nlohmann::ordered_json;
using pipeline::Load;

struct StreamBench::Options {
  explicit Options(CLI::App& command) : flags(command, SettingsFlags::Own::kSetOnly) {}
  SettingsFlags flags;
  std::vector<std::string> models;
  std::string chart;
  double latency_ms = 40;
  int first = 1, most = 1024;
  std::vector<int> streams;  // only these, instead of the search
  bool track = false;
};

namespace {

std::string percent(double share) { return share < 0 ? "-" : fmt::format("{:.0f}%", 100 * share); }

std::string ms(double seconds) { return fmt::format("{:.1f}", 1e3 * seconds); }

/// The trials and what they are trials of.
struct Trials {
  double bound_seconds = 0;
  std::string kind;    // "1920x1080 at 30 fps, h264"
  std::string engine;  // model, task and engine
  std::vector<Load> loads;
  bool searched = true;

  bool hold(const Load& load) const { return load.holds(bound_seconds); }
  /// The largest load that held; 0 when none did.
  int streams() const {
    int most = 0;
    for (const Load& each : loads) {
      if (hold(each)) most = std::max(most, each.streams);
    }
    return most;
  }
  /// The smallest load that did not; null when all did.
  const Load* broken() const {
    const Load* least = nullptr;
    for (const Load& each : loads) {
      if (!hold(each) && (!least || each.streams < least->streams)) least = &each;
    }
    return least;
  }
};

[[noreturn]] void refuse_source(const std::string& name) {
  throw Error(
      ErrorCode::kUsage,
      fmt::format("'{}' is no video file; bench plays files as if they were cameras", name));
}

// The first source stands for all: they are meant to be of one kind.
std::string describe_sources(const std::vector<std::string>& arguments,
                             const video::SourceOptions& options) {
  for (const std::string& argument : arguments) {
    if (argument.starts_with("synth:")) refuse_source(argument);
  }
  const std::vector<video::SourceSpec> sources = video::expand_sources(arguments);
  for (const video::SourceSpec& source : sources) {
    if (source.kind != video::SourceSpec::Kind::kFile) refuse_source(source.name);
  }
  const video::SourceInfo info = video::open_source(sources.front(), options)->info();
  return fmt::format("{}x{} at {:.4g} fps, {}", info.width, info.height, info.frame_rate.value(),
                     info.codec);
}

std::string limit_text(const Trials& trials) {
  const Load* broken = trials.broken();
  if (!broken) return trials.searched ? "no limit was met (--most)" : "no limit was met";
  const pipeline::Limit limit = pipeline::find_limit(*broken);
  if (limit.share < 0) return fmt::format("the limit is {}", limit.name);
  if (limit.full())
    return fmt::format("the limit is {} ({} busy)", limit.name, percent(limit.share));
  return fmt::format(
      "nothing is full (the busiest part is {}, {}): the limit is how long one frame "
      "takes",
      limit.name, percent(limit.share));
}

std::string answer_text(const Trials& trials) {
  const int streams = trials.streams();
  return fmt::format("{} stream{} of this kind ({}) at p95 <= {:g} ms; {}", streams,
                     streams == 1 ? "" : "s", trials.kind, 1e3 * trials.bound_seconds,
                     limit_text(trials));
}

// One line as soon as a trial has ended: a search takes minutes.
std::string trial_text(const Load& load, bool holds) {
  const std::string what = fmt::format("{} stream{}", load.streams, load.streams == 1 ? "" : "s");
  if (load.error) return fmt::format("{}: {}", what, load.error->what());
  if (load.latency.count() == 0) return fmt::format("{}: nothing was answered", what);
  return fmt::format(
      "{}: p95 {} ms, {:.0f} fps, {} dropped: {}", what, ms(load.latency.percentile_seconds(0.95)),
      static_cast<double>(load.frames) / load.seconds, load.dropped, holds ? "holds" : "too many");
}

std::string table_text(const Trials& trials) {
  Table table({"streams", "p50 ms", "p95 ms", "p99 ms", "fps", "dropped", "NVDEC", "SM", "memory",
               "PCIe", "CPU", "holds"});
  std::vector<const Load*> order;
  for (const Load& each : trials.loads) order.push_back(&each);
  std::stable_sort(order.begin(), order.end(),
                   [](const Load* a, const Load* b) { return a->streams < b->streams; });
  for (const Load* each : order) {
    const std::string streams = std::to_string(each->streams);
    if (each->latency.count() == 0) {
      table.add({streams, "-", "-", "-", "-", "-", "-", "-", "-", "-", "-",
                 each->error ? each->error->what() : "no: nothing was answered"});
      continue;
    }
    table.add({streams, ms(each->latency.percentile_seconds(0.5)),
               ms(each->latency.percentile_seconds(0.95)),
               ms(each->latency.percentile_seconds(0.99)),
               fmt::format("{:.0f}", static_cast<double>(each->frames) / each->seconds),
               std::to_string(each->dropped), percent(each->shares.decoder),
               percent(each->shares.sm), percent(each->shares.memory), percent(each->shares.bus),
               fmt::format("{} ({:.1f} cores)", percent(each->shares.cpu), each->cpu_cores),
               trials.hold(*each) ? "yes" : "no"});
  }
  return table.text(2);
}

Json share_json(double share) { return share < 0 ? Json() : Json(share); }

Json load_json(const Load& load, bool holds) {
  Json json = {{"streams", load.streams}, {"holds", holds}};
  if (load.error) json["error"] = load.error->what();
  if (load.latency.count() == 0) return json;
  json.update({{"seconds", load.seconds},
               {"frames", load.frames},
               {"dropped_frames", load.dropped},
               {"p50_ms", 1e3 * load.latency.percentile_seconds(0.5)},
               {"p95_ms", 1e3 * load.latency.percentile_seconds(0.95)},
               {"p99_ms", 1e3 * load.latency.percentile_seconds(0.99)},
               {"cpu_cores", load.cpu_cores},
               {"shares",
                {{"nvdec", share_json(load.shares.decoder)},
                 {"sm", share_json(load.shares.sm)},
                 {"memory", share_json(load.shares.memory)},
                 {"pcie", share_json(load.shares.bus)},
                 {"cpu", share_json(load.shares.cpu)}}}});
  return json;
}

std::string as_json(const Trials& trials, const StreamBench::General& general) {
  Json loads = Json::array();
  for (const Load& each : trials.loads) loads.push_back(load_json(each, trials.hold(each)));
  const Load* broken = trials.broken();
  const pipeline::Limit limit = broken ? pipeline::find_limit(*broken) : pipeline::Limit{};
  const Json json = {{"schema", 1},
                     {"version", version()},
                     {"sources", general.sources},
                     {"kind", trials.kind},
                     {"engine", trials.engine},
                     {"cpu", probe_host().cpu_model},
                     {"bound_ms", 1e3 * trials.bound_seconds},
                     {"streams", trials.streams()},
                     {"limit", broken && limit.full() ? Json(limit.name) : Json()},
                     {"answer", answer_text(trials)},
                     {"trials", loads}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

StreamBench::StreamBench(CLI::App& command) : options_(std::make_shared<Options>(command)) {
  Options& options = *options_;
  const std::string group = "How many streams";
  auto* model =
      command
          .add_option("--model,-m", options.models,
                      "Of videos: ONNX file or plan, or the name of a [[models]] table; several "
                      "times, as for run")
          ->allow_extra_args(false);
  const auto add = [&](CLI::Option* option) { option->needs(model)->group(group); };
  model->group(group);
  add(command
          .add_option("--latency", options.latency_ms,
                      "Bound of the 95th percentile from packet to answer, in ms")
          ->check(CLI::Range(0.1, 60000.0)));
  add(command.add_option("--first", options.first, "Streams of the first trial")
          ->check(CLI::Range(1, 100000)));
  add(command.add_option("--most", options.most, "Streams of a trial, at most")
          ->check(CLI::Range(1, 100000)));
  add(command
          .add_option("--streams", options.streams,
                      "Only trials of so many, such as 100,140, instead of the search")
          ->delimiter(',')
          ->check(CLI::Range(1, 100000)));
  add(command.add_flag("--track", options.track, "Track what is found"));
  add(command.add_option("--chart", options.chart, "Streams against latency, as SVG"));
}

bool StreamBench::asked() const { return !options_->models.empty(); }

int StreamBench::run(const General& general) const {
  set_log_level(spdlog::level::warn);
  SettingsInputs inputs = options_->flags.inputs();
  const auto set = [&inputs](const char* key, const std::string& value, const char* flag) {
    inputs.flags.push_back({key, value, {SettingLayer::kFlag, flag}});
  };
  if (!general.device.empty()) set("inference.device", general.device, "--device");
  if (!general.precision.empty()) set("inference.precision", general.precision, "--precision");
  if (options_->track) set("tracking.enabled", "true", "--track");
  const Settings settings = pipeline::settings_for_sources(resolve(inputs), general.sources);
  pipeline::JobOptions job = pipeline::job_options(settings, general.sources, options_->models);
  job.jsonl = "/dev/null";  // answers are written, as a real run would

  Trials trials;
  trials.bound_seconds = 1e-3 * options_->latency_ms;
  trials.kind = describe_sources(general.sources, job.source);
  trials.searched = options_->streams.empty();
  StatusLine line;
  job.build_progress = [&line](const std::string& text) { line.show(text); };
  pipeline::LoadOptions load;
  if (general.seconds > 0) load.seconds = general.seconds;
  const auto holds = [&](int streams) {
    line.show(fmt::format("{} streams", streams));
    trials.loads.push_back(pipeline::measure_load(
        job, streams, load, [&](const pipeline::Job& made) { trials.engine = made.description; }));
    const Load& measured = trials.loads.back();
    const bool held = trials.hold(measured);
    line.clear();
    fmt::print(stderr, "{}\n", trial_text(measured, held));
    return held;
  };
  if (trials.searched) {
    pipeline::find_knee(options_->first, options_->most, holds);
  } else {
    for (const int streams : options_->streams) holds(streams);
  }
  line.clear();

  const std::string answer = answer_text(trials);
  if (!general.json.empty()) save(general.json, as_json(trials, general));
  if (!options_->chart.empty()) {
    save(options_->chart, load_chart(trials.loads, trials.bound_seconds, trials.streams(), answer));
  }
  if (general.json != "-") {
    print(fmt::format("{}\n{}\n{}\n", trials.engine, table_text(trials), answer));
  }
  return 0;
}

}  // namespace peregrine::cli
