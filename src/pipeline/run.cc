// SPDX-License-Identifier: Apache-2.0
#include "peregrine/run.h"

#include "core/settings.h"
#include "pipeline/job_options.h"

namespace peregrine {
namespace {

class CallbackSink : public output::Sink {
 public:
  explicit CallbackSink(const RunRequest& request)
      : on_result_(request.on_result), on_gap_(request.on_gap) {}
  void open_stream(const output::StreamInfo&) override {}
  void write(const FrameResult& result, const Frame&) override {
    if (on_result_) on_result_(result);
  }
  void write_gap(const StreamGap& gap) override {
    if (on_gap_) on_gap_(gap);
  }
  void finish() override {}
  std::vector<std::string> paths() const override { return {}; }

 private:
  const std::function<void(const FrameResult&)> on_result_;
  const std::function<void(const StreamGap&)> on_gap_;
};

Settings settings_of(const RunRequest& request) {
  SettingsInputs inputs;
  inputs.file = request.config_file;
  inputs.machine = probe_machine();
  for (const auto& [key, value] : request.settings) {
    inputs.flags.push_back({key, value, {SettingLayer::kFlag, "RunRequest::settings"}});
  }
  return resolve(inputs);
}

}  // namespace

struct Run::State {
  pipeline::Job job;
};

Run::Run(const RunRequest& request) : state_(std::make_unique<State>()) {
  std::vector<std::unique_ptr<output::Sink>> sinks;
  sinks.push_back(std::make_unique<CallbackSink>(request));
  const Settings settings = pipeline::settings_for_sources(settings_of(request), request.sources);
  state_->job = pipeline::make_job(pipeline::job_options(settings, request.sources, request.models),
                                   std::move(sinks));
}

Run::~Run() = default;

const std::vector<std::string>& Run::labels() const { return state_->job.labels; }

RunReport Run::wait() {
  const pipeline::RunSummary summary = state_->job.pipeline->run();
  if (summary.fatal) throw *summary.fatal;
  RunReport report;
  for (const pipeline::StreamSummary& stream : summary.streams) {
    report.streams.push_back(
        {stream.name, stream.frames, stream.error ? stream.error->what() : ""});
  }
  report.frames = summary.frames;
  report.seconds = summary.seconds;
  report.exit_code = summary.exit_code();
  return report;
}

void Run::stop() noexcept { state_->job.pipeline->stop(); }

}  // namespace peregrine
