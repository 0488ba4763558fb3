// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "video/source.h"

namespace peregrine::video {

/// One answer of `Source::read`, in order.
struct PrefetchItem {
  SourceEvent event = EndOfStream{};
  std::exception_ptr error;                ///< what `read` threw; then `event` is `EndOfStream`
  std::chrono::nanoseconds decode_time{};  ///< how long `read` took, waiting for input included

  bool is_last() const { return std::holds_alternative<EndOfStream>(event); }
};

struct PrefetchOptions {
  int depth = 4;  ///< frames waiting at most; at least 1
  /// Called from the decoding thread, outside all locks, after an item has become available: lets
  /// one consumer wait for many streams. Must not throw and must not destroy the Prefetch.
  std::function<void()> on_ready;
};

/// Runs a source in a thread of its own, a bounded number of frames ahead of its consumer. A file
/// waits while the queue is full; a live source cannot wait, so its oldest waiting frame is dropped
/// and counted (gaps are never dropped). One consumer thread; `interrupt` and the counters may be
/// used from any.
class Prefetch {
 public:
  /// Starts reading at once.
  Prefetch(std::unique_ptr<Source> source, PrefetchOptions options);
  /// Interrupts the source and joins its thread.
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  const SourceInfo& info() const { return source_->info(); }
  /// The next item, waiting for it up to `timeout`; nothing when it did not come in time. Once the
  /// last item (end of stream or error) has been given, it is given again for ever.
  std::optional<PrefetchItem> next(std::chrono::nanoseconds timeout);
  /// The same without waiting. A wait of no time would still go through the kernel's timers, 0.06
  /// ms or more, which adds up for who looks through many streams.
  std::optional<PrefetchItem> try_next();
  /// Ends the stream soon: what is queued can still be taken, then comes the last item.
  void interrupt() noexcept;

  std::int64_t dropped_frames() const { return dropped_; }
  std::int64_t corrupt_packets() const { return source_->corrupt_packets(); }

 private:
  void run();
  PrefetchItem take_first(std::unique_lock<std::mutex>& lock);
  bool push(PrefetchItem item);
  void drop_oldest_if_full();

  const std::unique_ptr<Source> source_;
  const PrefetchOptions options_;
  const std::size_t depth_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PrefetchItem> queue_;
  bool stopping_ = false;
  std::atomic<std::int64_t> dropped_{0};
  std::thread thread_;  // last: it uses everything above
};

}  // namespace peregrine::video
