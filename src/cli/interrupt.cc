// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "peregrine/error.h"

namespace peregrine::cli {
namespace {

sigset_t interrupt_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

InterruptGuard::InterruptGuard(std::function<void()> on_first) {
  const sigset_t set = interrupt_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this, call = std::move(on_first)] { loop(call); });
}

InterruptGuard::~InterruptGuard() {
  done_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);  // wakes sigwait
  thread_.join();
}

void InterruptGuard::loop(const std::function<void()>& on_first) {
  const sigset_t set = interrupt_signals();
  for (int received = 0; !done_;) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0 || done_) continue;
    if (++received > 1) _exit(exit_code(ErrorCode::kInterrupted));
    std::fputs("\ninterrupted: finishing the files; once more aborts\n", stderr);
    on_first();
  }
}

}  // namespace peregrine::cli
