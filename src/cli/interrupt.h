// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace peregrine::cli {

/// Ctrl-C and SIGTERM while it lives: the first calls `on_first` in a thread of its own, the second
/// ends the program at once with status 130. Make it before any other thread: signals are blocked
/// here and in the threads that come after.
class InterruptGuard {
 public:
  explicit InterruptGuard(std::function<void()> on_first);
  ~InterruptGuard();

 private:
  void loop(const std::function<void()>& on_first);

  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace peregrine::cli
