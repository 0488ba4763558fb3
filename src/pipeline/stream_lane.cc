// SPDX-License-Identifier: Apache-2.0
#include "pipeline/stream_lane.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/log.h"
#include "core/stopwatch.h"
#include "core/thread_name.h"
#include "pipeline/deferred_source.h"

namespace peregrine::pipeline {
namespace {

// Frames a source will deliver under its options, as far as its container tells; 0 when it does
// not.
std::int64_t expected_frame_count(const video::SourceInfo& info,
                                  const video::SourceOptions& options) {
  std::int64_t count = info.frame_count;
  const double rate = info.frame_rate.value();
  if ((options.start_seconds > 0 || options.end_seconds > 0) && rate > 0 &&
      info.duration_seconds > 0) {
    const double end = options.end_seconds > 0
                           ? std::min(options.end_seconds, info.duration_seconds)
                           : info.duration_seconds;
    count = std::llround(std::max(0.0, end - options.start_seconds) * rate);
  }
  if (options.every > 1) count = (count + options.every - 1) / options.every;
  if (options.max_frames > 0)
    count = count > 0 ? std::min(count, options.max_frames) : options.max_frames;
  return count;
}

// The picture goes, what is known of it stays.
void let_go(Frame& frame) {
  frame.planes = {};
  frame.ready = nullptr;
  frame.storage.reset();
}

Error as_error(const std::exception_ptr& failure, const std::string& source) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, fmt::format("'{}': {}", source, error.what()));
  }
}

}  // namespace

StreamLane::StreamLane(int id, StreamSpec spec, const PipelineOptions& options, int window,
                       std::span<const std::unique_ptr<output::Sink>> sinks, Hooks hooks)
    : id_(id),
      spec_(std::move(spec)),
      options_(options),
      window_(static_cast<std::size_t>(window)),
      sinks_(sinks),
      hooks_(std::move(hooks)),
      wants_picture_(std::any_of(sinks.begin(), sinks.end(),
                                 [](const auto& sink) { return sink->wants_picture(); })) {
  summary_.name = spec_.source.name;
  if (options_.tracking) tracker_ = track::make_byte_tracker(*options_.tracking);
}

StreamLane::~StreamLane() {
  interrupt();
  abort();
  if (writer_.joinable()) writer_.join();
}

void StreamLane::start(std::unique_ptr<vision::Embedder> embedder) {
  embedder_ = std::move(embedder);
  prefetch_ = std::make_unique<video::Prefetch>(
      std::make_unique<DeferredSource>(spec_.open),
      video::PrefetchOptions{options_.queue_depth, hooks_.on_ready});
  writer_ = std::thread([this] { write_loop(); });
}

StreamLane::Slot* StreamLane::take() {
  std::unique_lock lock(mutex_);
  while (!exhausted_ && !aborted_) {
    if (slots_.size() >= window_) {
      full_ = true;
      return nullptr;
    }
    auto item = prefetch_->try_next();
    if (!item) return nullptr;
    decode_nanoseconds_ += item->decode_time.count();
    auto slot = std::make_unique<Slot>();
    slot->event = std::move(item->event);
    slot->error = item->error;
    Slot* taken = slot.get();
    slots_.push_back(std::move(slot));
    if (auto* frame = std::get_if<Frame>(&taken->event)) {
      frame->info.stream = id_;
      stages_.decode.add(item->decode_time.count());
      return taken;
    }
    // A gap or the end needs no inference; it only waits for its turn.
    taken->done = true;
    exhausted_ = std::holds_alternative<video::EndOfStream>(taken->event);
    changed_.notify_one();
  }
  return nullptr;
}

Frame StreamLane::picture(Slot& slot) const {
  auto& frame = std::get<Frame>(slot.event);
  Frame picture = frame;
  if (!wants_picture_ && !embedder_) let_go(frame);
  return picture;
}

void StreamLane::complete(Slot* slot) {
  {
    const std::lock_guard lock(mutex_);
    slot->done = true;
  }
  changed_.notify_one();
}

void StreamLane::interrupt() noexcept {
  interrupted_ = true;
  if (prefetch_) prefetch_->interrupt();
}

void StreamLane::abort() noexcept {
  const std::lock_guard lock(mutex_);
  aborted_ = true;
  changed_.notify_one();
}

std::unique_ptr<StreamLane::Slot> StreamLane::pop() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return aborted_ || (!slots_.empty() && slots_.front()->done); });
  if (aborted_) return nullptr;
  auto slot = std::move(slots_.front());
  slots_.pop_front();
  const bool was_full = std::exchange(full_, false);
  lock.unlock();
  if (was_full) hooks_.on_ready();
  return slot;
}

void StreamLane::write_loop() {
  name_thread("write " + std::to_string(id_));
  try {
    for (bool more = true; more;) {
      const auto slot = pop();
      more = slot && write_slot(*slot);
    }
  } catch (const Error& error) {
    hooks_.on_fatal(error);
  } catch (const std::exception& error) {
    hooks_.on_fatal(Error(ErrorCode::kInternal, error.what()));
  }
  if (prefetch_) {
    summary_.corrupt_packets = prefetch_->corrupt_packets();
    summary_.dropped_frames = prefetch_->dropped_frames();
  }
  finished_ = true;
  hooks_.on_done(this);
}

bool StreamLane::write_slot(Slot& slot) {
  if (std::holds_alternative<video::EndOfStream>(slot.event)) {
    if (slot.error) note_failure(as_error(slot.error, summary_.name));
    summary_.ended = !slot.error && !interrupted_;
    if (sinks_open_) {
      for (const auto& sink : sinks_) sink->close_stream(id_);
    }
    return false;
  }
  open_sinks();
  if (auto* gap = std::get_if<StreamGap>(&slot.event)) {
    gap->stream = id_;
    ++summary_.gaps;
    // Nothing that was lost before so long a gap can be found again.
    if (tracker_ && gap->to_seconds - gap->from_seconds > options_.tracking->lost_seconds)
      tracker_->reset();
    for (const auto& sink : sinks_) sink->write_gap(*gap);
    return true;
  }
  write_frame(slot);
  return true;
}

void StreamLane::note_failure(const Error& error) {
  if (error.code() == ErrorCode::kInterrupted) return;  // an opening that was cancelled
  summary_.error = error;
  // The summary repeats it; a camera's run has no end soon.
  logger("pipeline")
      ->log(spec_.live ? spdlog::level::warn : spdlog::level::info, "stream={} {}", id_,
            error.what());
}

// The first event proves that the source is open, so its facts are there.
void StreamLane::open_sinks() {
  if (sinks_open_) return;
  const video::SourceInfo& info = prefetch_->info();
  expected_frames_ = expected_frame_count(info, spec_.options);
  for (const auto& sink : sinks_) {
    sink->open_stream(
        {id_, summary_.name, info.width, info.height, info.frame_rate, info.time_base});
  }
  sinks_open_ = true;
}

void StreamLane::write_frame(Slot& slot) {
  auto& frame = std::get<Frame>(slot.event);
  Detections& detections = slot.result.detections;
  if (tracker_) {
    Stopwatch watch;
    track(frame, detections);
    stages_.track.add(watch.nanoseconds());
  }
  if (embedder_ && detections.embeddings.empty() && !detections.empty()) {
    Stopwatch watch;
    embed(frame, detections);
    stages_.embed.add(watch.nanoseconds());
  }
  Stopwatch watch;
  if (!wants_picture_) let_go(frame);
  for (const auto& sink : sinks_) sink->write(slot.result, wants_picture_ ? frame : Frame{});
  stages_.write.add(watch.nanoseconds());
  measure_latency(frame);
  ++summary_.frames;
  count_objects(detections);
  ++frames_;
}

// A file is read ahead as fast as it goes: how long its frames waited says nothing.
void StreamLane::measure_latency(const Frame& frame) {
  if (frame.received == 0 || !prefetch_->info().live) return;
  const std::int64_t nanoseconds = steady_nanoseconds() - frame.received;
  const std::lock_guard lock(mutex_);
  stages_.latency.add(nanoseconds);
}

void StreamLane::add_latency(LatencyHistogram& sum) const {
  const std::lock_guard lock(mutex_);
  sum.merge(stages_.latency);
}

void StreamLane::count_objects(const Detections& detections) {
  summary_.detections += static_cast<std::int64_t>(detections.size());
  for (const int class_id : detections.classes) {
    const auto index = static_cast<std::size_t>(class_id);
    if (index >= summary_.detections_by_class.size())
      summary_.detections_by_class.resize(index + 1);
    ++summary_.detections_by_class[index];
  }
}

void StreamLane::track(const Frame& frame, Detections& detections) {
  if (embedder_ && tracker_->wants_embeddings()) {
    // Weaker ones take part in no association.
    embedded_.clear();
    for (std::size_t i = 0; i < detections.size(); ++i) {
      if (detections.scores[i] >= options_.tracking->low_threshold)
        embedded_.push_back(static_cast<int>(i));
    }
    embedder_->embed(frame, detections, embedded_);
  }
  tracker_->update(detections, {frame.info.seconds(), frame.info.width, frame.info.height});
  track::drop_weak_untracked(detections, options_.confidence);
  for (const std::int64_t id : detections.tracks) {
    if (id <= highest_track_) continue;
    highest_track_ = id;
    ++summary_.tracks;
  }
}

// With tracking, only objects that have an identity are worth a crop.
void StreamLane::embed(const Frame& frame, Detections& detections) {
  if (!tracker_) return embedder_->embed(frame, detections);
  embedded_.clear();
  for (std::size_t i = 0; i < detections.size(); ++i) {
    if (detections.tracks[i] != kNoTrack) embedded_.push_back(static_cast<int>(i));
  }
  embedder_->embed(frame, detections, embedded_);
}

}  // namespace peregrine::pipeline
