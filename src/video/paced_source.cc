// SPDX-License-Identifier: Apache-2.0
#include "video/paced_source.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "core/stopwatch.h"

namespace peregrine::video {
namespace {

using Nanoseconds = std::chrono::nanoseconds;

Nanoseconds from_seconds(double seconds) { return Nanoseconds(std::llround(seconds * 1e9)); }

class PacedSource final : public Source {
 public:
  explicit PacedSource(std::unique_ptr<Source> source)
      : source_(std::move(source)), info_(source_->info()) {
    info_.live = true;
    const double rate = info_.frame_rate.value();
    if (rate > 0) frame_time_ = from_seconds(1 / rate);
  }

  const SourceInfo& info() const override { return info_; }
  std::int64_t corrupt_packets() const override { return source_->corrupt_packets(); }

  SourceEvent read() override {
    Nanoseconds due{};
    if (last_) {
      due = *last_ + frame_time_;
      if (!wait_until(due)) return EndOfStream{};
    } else {
      start_ = Nanoseconds(steady_nanoseconds());
    }
    SourceEvent event = source_->read();
    auto* frame = std::get_if<Frame>(&event);
    if (!frame) return event;
    if (!last_) origin_ = frame->info.pts;
    // Counted from the first time: differences are exact, and nothing adds up.
    last_ = from_seconds(static_cast<double>(frame->info.pts - origin_) *
                         frame->info.time_base.value());
    due = std::max(due, *last_);
    if (!wait_until(due)) return EndOfStream{};
    frame->received = (start_ + due).count();
    return event;
  }

  void interrupt() noexcept override {
    {
      const std::lock_guard lock(mutex_);
      interrupted_ = true;
    }
    changed_.notify_all();
    source_->interrupt();
  }

 private:
  // False: interrupted.
  bool wait_until(Nanoseconds due) {
    const std::chrono::steady_clock::time_point moment(start_ + due);
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, moment, [this] { return interrupted_; });
    return !interrupted_;
  }

  const std::unique_ptr<Source> source_;
  SourceInfo info_;
  Nanoseconds frame_time_{};         // nominal; 0: unknown
  Nanoseconds start_{};              // of the steady clock
  std::int64_t origin_ = 0;          // the first frame's time
  std::optional<Nanoseconds> last_;  // time of the last frame, since the first
  std::mutex mutex_;
  std::condition_variable changed_;
  bool interrupted_ = false;
};

}  // namespace

std::unique_ptr<Source> make_paced_source(std::unique_ptr<Source> source) {
  return std::make_unique<PacedSource>(std::move(source));
}

}  // namespace peregrine::video
