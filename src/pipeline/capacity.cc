// SPDX-License-Identifier: Apache-2.0
#include "pipeline/capacity.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "core/gpu_monitor.h"
#include "core/machine.h"
#include "core/stopwatch.h"

namespace peregrine::pipeline {
namespace {

constexpr std::int64_t kForEver = 1'000'000'000;  // rounds of a file
constexpr auto kTick = std::chrono::milliseconds(50);

JobOptions paced_copies(const JobOptions& one, int streams) {
  JobOptions job = one;
  job.sources.clear();
  for (std::size_t i = 0; i < static_cast<std::size_t>(streams); ++i)
    job.sources.push_back(one.sources[i % one.sources.size()]);
  job.source.paced = true;
  job.source.loop = kForEver;
  return job;
}

// A pipeline that runs until this goes.
class Running {
 public:
  explicit Running(Pipeline& pipeline)
      : pipeline_(pipeline), thread_([this] {
          summary_ = pipeline_.run();
          ended_ = true;
        }) {}
  ~Running() { stop(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// A stream that loops for ever is only done when it has failed.
  bool failed() const { return ended_ || pipeline_.progress().streams_done > 0; }
  const RunSummary& stop() {
    pipeline_.stop();
    if (thread_.joinable()) thread_.join();
    return summary_;
  }

 private:
  Pipeline& pipeline_;
  RunSummary summary_;
  std::atomic<bool> ended_{false};
  std::thread thread_;  // last: it uses everything above
};

std::optional<Error> first_error(const RunSummary& summary) {
  if (summary.fatal) return summary.fatal;
  for (const StreamSummary& stream : summary.streams) {
    if (stream.error) return stream.error;
  }
  return std::nullopt;
}

// False: a stream failed, or it took too long.
bool warm_up(const Pipeline& pipeline, const Running& running, const LoadOptions& options) {
  const Stopwatch watch;
  while (!pipeline.progress().steady) {
    if (running.failed() || watch.seconds() > options.warm_up_seconds) return false;
    std::this_thread::sleep_for(kTick);
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(options.settle_seconds));
  return !running.failed();
}

// Means over the measured time.
class GpuMeter {
 public:
  explicit GpuMeter(Device device) {
    if (!device.is_cpu()) monitor_.emplace(device.index);
  }
  void sample() {
    if (!monitor_) return;
    const GpuSample now = monitor_->sample();
    ++samples_;
    sm_ += now.sm_percent;
    decoder_ += now.decoder_percent;
    memory_ = now.total_bytes > 0
                  ? static_cast<double>(now.used_bytes) / static_cast<double>(now.total_bytes)
                  : -1;
    bus_rate_ = now.bus_bytes_per_second;
  }
  void report(Shares& shares, const std::vector<LedgerEntry>& transfers, double seconds) const {
    if (samples_ == 0) return;
    const auto mean = [this](double percents) { return std::max(-1.0, percents / samples_ / 100); };
    shares.sm = sm_ < 0 ? -1 : mean(sm_);
    shares.decoder = decoder_ < 0 ? -1 : mean(decoder_);
    shares.memory = memory_;
    if (bus_rate_ <= 0) return;
    double up = 0, down = 0;
    for (const LedgerEntry& each : transfers)
      (each.direction == Crossing::kUp ? up : down) += static_cast<double>(each.bytes);
    shares.bus = std::max(up, down) / seconds / bus_rate_;
  }

 private:
  std::optional<GpuMonitor> monitor_;  // none for a CPU
  int samples_ = 0;
  double sm_ = 0, decoder_ = 0, memory_ = -1, bus_rate_ = -1;
};

void measure(const Pipeline& pipeline, const Running& running, Device device, double seconds,
             Load& load) {
  const Progress before = pipeline.progress();
  const std::vector<LedgerEntry> crossed = Ledger::snapshot();
  const double cpu = process_cpu_seconds();
  const Stopwatch watch;
  GpuMeter gpu(device);
  Progress now = before;
  do {
    std::this_thread::sleep_for(kTick);
    gpu.sample();
    now = pipeline.progress();
    load.seconds = watch.seconds();
  } while (load.seconds < seconds && now.dropped_frames == before.dropped_frames &&
           !running.failed());
  load.frames = now.frames - before.frames;
  load.dropped = now.dropped_frames - before.dropped_frames;
  load.latency = now.latency;
  load.latency.subtract(before.latency);
  load.cpu_cores = (process_cpu_seconds() - cpu) / load.seconds;
  load.shares.cpu = load.cpu_cores / usable_cores();
  gpu.report(load.shares, Ledger::difference(crossed, Ledger::snapshot()), load.seconds);
}

}  // namespace

bool Load::holds(double bound_seconds) const {
  return !error && dropped == 0 && latency.count() > 0 &&
         latency.percentile_seconds(0.95) <= bound_seconds;
}

Load measure_load(const JobOptions& one, int streams, const LoadOptions& options,
                  const std::function<void(const Job&)>& on_job) {
  Load load;
  load.streams = streams;
  try {
    const Job job = make_job(paced_copies(one, streams));
    if (on_job) on_job(job);
    Running running(*job.pipeline);
    const bool under_way = warm_up(*job.pipeline, running, options);
    if (under_way) {
      measure(*job.pipeline, running, job.engine->device(), options.seconds, load);
    }
    if (const auto error = first_error(running.stop())) throw *error;
    if (!under_way) {
      load.error =
          Error(ErrorCode::kEngine, fmt::format("{} streams were not under way within {:g} s",
                                                streams, options.warm_up_seconds));
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfMemory) throw;
    load.error = error;
  }
  return load;
}

int find_knee(int first, int most, const std::function<bool(int)>& holds) {
  int good = 0, bad = most + 1;
  for (int next = std::clamp(first, 1, most); good < next && next < bad;) {
    if (holds(next)) {
      good = next;
      if (bad <= most) break;  // came down to it
      next = good <= most / 2 ? 2 * good : most;
    } else {
      bad = next;
      if (good > 0) break;
      next = bad / 2;
    }
  }
  while (bad <= most && good > 0 && bad - good > std::max(1, good / 32)) {
    const int middle = good + (bad - good) / 2;
    (holds(middle) ? good : bad) = middle;
  }
  return good;
}

Limit find_limit(const Load& load) {
  if (load.error && load.error->code() == ErrorCode::kOutOfMemory) return {"memory", -1};
  const Shares& shares = load.shares;
  const Limit parts[] = {{"NVDEC", shares.decoder},
                         {"SM", shares.sm},
                         {"memory", shares.memory},
                         {"PCIe", shares.bus},
                         {"CPU", shares.cpu}};
  const Limit* fullest =
      std::max_element(std::begin(parts), std::end(parts),
                       [](const Limit& a, const Limit& b) { return a.share < b.share; });
  return {fullest->name, std::max(0.0, fullest->share)};
}

}  // namespace peregrine::pipeline
