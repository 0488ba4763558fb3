// SPDX-License-Identifier: Apache-2.0
#include "cli/status_line.h"

#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

namespace peregrine::cli {

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) != 0) {}

StatusLine::~StatusLine() { clear(); }

void StatusLine::show(const std::string& line) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || (shown_ && now - last_ < std::chrono::milliseconds(100))) return;
  // Cut, not wrapped: a second line could not be taken back.
  constexpr std::size_t kColumns = 110;
  fmt::print(stderr, "\r\x1b[K{}", line.substr(0, kColumns));
  std::fflush(stderr);
  shown_ = true;
  last_ = now;
}

void StatusLine::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace peregrine::cli
