// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "cli/cli.h"
#include "core/machine.h"
#include "peregrine/error.h"

namespace peregrine::cli {
namespace {

double fps(std::int64_t frames, double seconds) {
  return seconds > 0 ? static_cast<double>(frames) / seconds : 0.0;
}

// Seconds still to go at the mean speed so far; negative when the length is unknown.
double remaining_seconds(const pipeline::Progress& progress) {
  if (progress.expected_frames <= 0 || progress.frames <= 0) return -1;
  const auto left =
      static_cast<double>(std::max<std::int64_t>(0, progress.expected_frames - progress.frames));
  return left * progress.seconds / static_cast<double>(progress.frames);
}

std::string clock_text(double seconds) {
  const auto whole = std::llround(seconds);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string grouped(std::int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string totals(const pipeline::RunSummary& summary) {
  std::int64_t detections = 0, tracks = 0, dropped = 0, corrupt = 0, gaps = 0, failed = 0;
  for (const auto& stream : summary.streams) {
    detections += stream.detections;
    tracks += stream.tracks;
    dropped += stream.dropped_frames;
    corrupt += stream.corrupt_packets;
    gaps += stream.gaps;
    failed += stream.error ? 1 : 0;
  }
  std::string text =
      fmt::format("{} frames in {:.2f} s: {:.1f} fps; {} objects", grouped(summary.frames),
                  summary.seconds, fps(summary.frames, summary.seconds), grouped(detections));
  if (summary.stages.track.count() > 0) text += fmt::format(" in {} tracks", grouped(tracks));
  if (summary.streams.size() > 1) text += fmt::format("; {} streams", summary.streams.size());
  if (failed > 0) text += fmt::format(", {} failed", failed);
  if (corrupt > 0) text += fmt::format("; {} corrupt packets skipped", grouped(corrupt));
  if (dropped > 0) text += fmt::format("; {} frames dropped", grouped(dropped));
  if (gaps > 0) text += fmt::format("; {} gaps", gaps);
  return text;
}

std::string objects_by_class(const pipeline::RunSummary& summary,
                             const std::vector<std::string>& labels) {
  std::vector<std::int64_t> counts;
  for (const auto& stream : summary.streams) {
    counts.resize(std::max(counts.size(), stream.detections_by_class.size()));
    for (std::size_t i = 0; i < stream.detections_by_class.size(); ++i)
      counts[i] += stream.detections_by_class[i];
  }
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return counts[a] > counts[b]; });
  Table table({"class", "objects", "a frame"});
  for (const std::size_t i : order) {
    table.add({i < labels.size() ? labels[i] : fmt::format("class {}", i), grouped(counts[i]),
               fmt::format("{:.2f}",
                           static_cast<double>(counts[i]) / static_cast<double>(summary.frames))});
  }
  return order.empty() ? "" : table.text(2);
}

// "up 12.3 kB a frame (compressed stream 12.1), down ...": the largest reasons by name.
std::string transfers_of(const pipeline::RunSummary& summary, Crossing direction) {
  std::uint64_t bytes = 0;
  std::vector<const LedgerEntry*> rows;
  for (const LedgerEntry& each : summary.transfers) {
    if (each.direction != direction) continue;
    bytes += each.bytes;
    rows.push_back(&each);
  }
  const double per_frame = 1e-3 / static_cast<double>(summary.frames);
  std::sort(rows.begin(), rows.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
  std::string reasons;
  for (const LedgerEntry* row : rows) {
    reasons += fmt::format("{}{} {:.2f}", reasons.empty() ? "" : ", ", row->reason,
                           static_cast<double>(row->bytes) * per_frame);
  }
  return fmt::format("{} {:.2f} kB a frame{}", direction == Crossing::kUp ? "up" : "down",
                     static_cast<double>(bytes) * per_frame,
                     reasons.empty() ? "" : " (" + reasons + ")");
}

std::string gpu_text(const pipeline::RunSummary& summary) {
  const pipeline::GpuUse& gpu = *summary.gpu;
  std::string text = fmt::format("\n  ledger: {}; {}\n", transfers_of(summary, Crossing::kUp),
                                 transfers_of(summary, Crossing::kDown));
  text += fmt::format(
      "  cuda:{}: kernels {:.0f}% of the time, NVDEC {:.0f}%; {} of {} in use at most, {} of that "
      "ours (peak {}, {} cached, {:.0f}% lost to rounding); {} allocations after warm-up\n",
      gpu.device, gpu.mean_sm_percent, gpu.mean_decoder_percent, format_bytes(gpu.peak_used_bytes),
      format_bytes(gpu.total_bytes), format_bytes(static_cast<std::int64_t>(gpu.memory.in_use)),
      format_bytes(static_cast<std::int64_t>(gpu.memory.peak)),
      format_bytes(static_cast<std::int64_t>(gpu.memory.cached)), 100 * gpu.memory.fragmentation,
      gpu.allocations_when_steady);
  if (gpu.leaks) {
    text += fmt::format("  warning: GPU memory grew steadily, by {} an hour; please report it\n",
                        format_bytes(static_cast<std::int64_t>(gpu.slope_bytes_per_hour)));
  }
  return text;
}

std::string stage_times(const pipeline::StageTimes& stages) {
  Table table({"stage", "p50 ms", "p95 ms", "mean ms"});
  const auto add = [&table](const char* name, const pipeline::LatencyHistogram& times) {
    if (times.count() == 0) return;
    table.add({name, fmt::format("{:.2f}", times.percentile_seconds(0.5) * 1e3),
               fmt::format("{:.2f}", times.percentile_seconds(0.95) * 1e3),
               fmt::format("{:.2f}", times.mean_seconds() * 1e3)});
  };
  add("decode", stages.decode);
  add("preprocess", stages.preprocess);
  add("infer", stages.infer);
  add("postprocess", stages.postprocess);
  add("track", stages.track);
  add("embed", stages.embed);
  add("write", stages.write);
  add("latency", stages.latency);
  return table.text(2);
}

}  // namespace

ProgressMode progress_mode(const std::string& name) {
  if (name == "none") return ProgressMode::kNone;
  if (name == "json") return ProgressMode::kJson;
  if (name == "auto") return isatty(STDERR_FILENO) ? ProgressMode::kTerminal : ProgressMode::kNone;
  throw Error(ErrorCode::kUsage,
              fmt::format("--progress '{}' is not one of auto, json, none", name));
}

std::string progress_line(const pipeline::Progress& progress) {
  std::string text = grouped(progress.frames) + " frames";
  if (progress.expected_frames > 0) {
    text += fmt::format(" of {}  {:.1f}%", grouped(progress.expected_frames),
                        100.0 * static_cast<double>(progress.frames) /
                            static_cast<double>(progress.expected_frames));
  }
  text += fmt::format("  {:.1f} fps", fps(progress.frames, progress.seconds));
  if (const double left = remaining_seconds(progress); left >= 0)
    text += "  ETA " + clock_text(left);
  if (progress.streams_running + progress.streams_waiting + progress.streams_done > 1) {
    text += fmt::format("  streams {} running, {} waiting, {} done", progress.streams_running,
                        progress.streams_waiting, progress.streams_done);
  }
  return text + fmt::format("  decode {:.1f} pre {:.1f} infer {:.1f} post {:.1f} ms",
                            progress.decode_ms, progress.preprocess_ms, progress.infer_ms,
                            progress.postprocess_ms);
}

std::string progress_json(const pipeline::Progress& progress) {
  std::string text =
      fmt::format(R"({{"progress":{{"seconds":{:.3f},"frames":{},"fps":{:.2f})", progress.seconds,
                  progress.frames, fps(progress.frames, progress.seconds));
  if (progress.expected_frames > 0)
    text += fmt::format(R"(,"expected_frames":{})", progress.expected_frames);
  if (const double left = remaining_seconds(progress); left >= 0)
    text += fmt::format(R"(,"eta_seconds":{:.1f})", left);
  if (progress.latency.count() > 0) {
    text += fmt::format(R"(,"dropped_frames":{},"latency_ms":{{"p50":{:.3f},"p95":{:.3f}}})",
                        progress.dropped_frames, progress.latency.percentile_seconds(0.5) * 1e3,
                        progress.latency.percentile_seconds(0.95) * 1e3);
  }
  if (const auto& gpu = progress.gpu) {
    text += fmt::format(
        R"(,"gpu":{{"used_bytes":{},"ours_bytes":{},"cached_bytes":{},"sm_percent":{:.1f},)"
        R"("decoder_percent":{:.1f},"allocations_when_steady":{}}})",
        gpu->used_bytes, gpu->memory.in_use, gpu->memory.cached, gpu->mean_sm_percent,
        gpu->mean_decoder_percent, gpu->allocations_when_steady);
  }
  return text +
         fmt::format(
             R"(,"streams":{{"running":{},"waiting":{},"done":{}}},"ms_per_frame":{{"decode":{:.3f},)"
             R"("preprocess":{:.3f},"infer":{:.3f},"postprocess":{:.3f}}}}}}})",
             progress.streams_running, progress.streams_waiting, progress.streams_done,
             progress.decode_ms, progress.preprocess_ms, progress.infer_ms,
             progress.postprocess_ms);
}

std::string summary_text(const pipeline::RunSummary& summary,
                         const std::vector<std::string>& labels) {
  std::string text = totals(summary) + "\n\n";
  const std::string objects = objects_by_class(summary, labels);
  if (!objects.empty()) text += objects + "\n";
  text += stage_times(summary.stages);
  return summary.gpu && summary.frames > 0 ? text + gpu_text(summary) : text;
}

ProgressReporter::ProgressReporter(ProgressMode mode, std::function<pipeline::Progress()> sample)
    : mode_(mode), sample_(std::move(sample)) {
  if (mode_ != ProgressMode::kNone) thread_ = std::thread([this] { loop(); });
}

ProgressReporter::~ProgressReporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ProgressReporter::loop() {
  const bool terminal = mode_ == ProgressMode::kTerminal;
  const auto interval = std::chrono::milliseconds(terminal ? 200 : 1000);
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, interval, [this] { return stopping_; })) {
    if (terminal) {
      fmt::print(stderr, "\r\x1b[K{}", progress_line(sample_()));
    } else {
      fmt::print(stderr, "{}\n", progress_json(sample_()));
    }
    std::fflush(stderr);
  }
  if (terminal) {
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
  }
}

}  // namespace peregrine::cli
