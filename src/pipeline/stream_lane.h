// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>

#include "pipeline/pipeline.h"
#include "video/prefetch.h"

namespace peregrine::pipeline {

/// The two ends of one stream. In: decoded frames, handed out one by one to whichever worker asks.
/// Out: a thread that puts the answers back in order, tracks, embeds and writes them. Between them
/// at most `window` frames are in flight, so a slow sink holds its own decoder and nobody else's.
class StreamLane {
 public:
  /// One frame on its way through inference. Its lane owns it and waits for `complete`.
  struct Slot {
    std::variant<Frame, StreamGap, video::EndOfStream> event;
    FrameResult result;
    std::exception_ptr error;  ///< with EndOfStream: why the stream ended early
    bool done = false;
  };

  struct Hooks {
    std::function<void()> on_ready;  ///< a frame may be taken; from any thread, outside all locks
    std::function<void(StreamLane*)>
        on_done;  ///< the last answer is written; from the lane's thread
    std::function<void(const Error&)>
        on_fatal;  ///< a sink or the embedder failed; from the lane's thread
  };

  StreamLane(int id, StreamSpec spec, const PipelineOptions& options, int window,
             std::span<const std::unique_ptr<output::Sink>> sinks, Hooks hooks);
  ~StreamLane();

  /// Starts both threads. `embedder` may be null.
  void start(std::unique_ptr<vision::Embedder> embedder);

  /// The next frame for inference, or null when none is ready or the window is full. One caller at
  /// a time.
  Slot* take();
  /// The picture of a slot that was taken. The lane keeps a reference only when it needs the
  /// picture again: a surface goes back to its decoder when the model has read it.
  Frame picture(Slot& slot) const;
  /// The worker has filled `slot->result`.
  void complete(Slot* slot);
  /// Ends the stream soon; what is decoded is still answered.
  void interrupt() noexcept;
  /// Gives up at once: in-flight frames are not waited for.
  void abort() noexcept;

  bool started() const { return prefetch_ != nullptr; }
  bool finished() const { return finished_; }
  bool live() const { return spec_.live; }
  std::int64_t expected_frames() const { return expected_frames_; }
  std::int64_t frames() const { return frames_; }
  std::int64_t dropped_frames() const { return started() ? prefetch_->dropped_frames() : 0; }
  /// Adds what was measured so far. Safe from any thread.
  void add_latency(LatencyHistogram& sum) const;
  double decode_seconds() const { return static_cast<double>(decode_nanoseconds_) * 1e-9; }

  /// Once `finished`.
  const StreamSummary& summary() const { return summary_; }
  const StageTimes& stages() const { return stages_; }

 private:
  void write_loop();
  bool write_slot(Slot& slot);
  void note_failure(const Error& error);
  void open_sinks();
  void write_frame(Slot& slot);
  void measure_latency(const Frame& frame);
  void count_objects(const Detections& detections);
  void track(const Frame& frame, Detections& detections);
  void embed(const Frame& frame, Detections& detections);
  std::unique_ptr<Slot> pop();

  const int id_;
  const StreamSpec spec_;
  const PipelineOptions& options_;
  const std::size_t window_;
  const std::span<const std::unique_ptr<output::Sink>> sinks_;
  const Hooks hooks_;
  const bool wants_picture_;

  std::unique_ptr<video::Prefetch> prefetch_;
  std::unique_ptr<track::Tracker> tracker_;
  std::unique_ptr<vision::Embedder> embedder_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Slot>> slots_;  // in presentation order
  bool exhausted_ = false;                   // the last event has been taken
  bool aborted_ = false;
  bool full_ = false;  // a frame was not taken for want of room

  std::atomic<bool> interrupted_{false};
  std::atomic<bool> finished_{false};
  std::atomic<std::int64_t> expected_frames_{0};
  std::atomic<std::int64_t> frames_{0};
  std::atomic<std::int64_t> decode_nanoseconds_{0};

  // Used by the writing thread only, until `finished_`.
  bool sinks_open_ = false;
  std::int64_t highest_track_ = 0;
  std::vector<int> embedded_;
  StreamSummary summary_;
  StageTimes stages_;  // `latency` under the mutex, for others to see

  std::thread writer_;  // last: it uses everything above
};

}  // namespace peregrine::pipeline
