// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace peregrine::video {

/// Says when a blocking libav call has to give up: its time is over, or somebody asked to stop.
/// libav polls it between system calls (every 100 ms while a socket is silent). `stop` may come
/// from any thread, the rest belongs to the reading one.
class Watch {
 public:
  using Clock = std::chrono::steady_clock;

  void stop() noexcept { stopped_ = true; }
  bool stopped() const { return stopped_ || (cancel_ != nullptr && *cancel_); }
  /// A second flag that also stops; null to forget it.
  void set_cancel(const std::atomic<bool>* cancel) { cancel_ = cancel; }

  void arm(double seconds) {
    deadline_ = Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }
  void disarm() { deadline_ = Clock::time_point::max(); }
  bool armed() const { return deadline_ != Clock::time_point::max(); }
  bool expired() const { return Clock::now() >= deadline_; }

  /// Sleeps, and returns false early when stopped.
  bool sleep(double seconds) const;

  /// libav's AVIOInterruptCB; `watch` is a Watch.
  static int interrupt_callback(void* watch) {
    const auto& self = *static_cast<const Watch*>(watch);
    return self.stopped() || self.expired() ? 1 : 0;
  }

 private:
  std::atomic<bool> stopped_{false};
  const std::atomic<bool>* cancel_ = nullptr;
  Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace peregrine::video
