// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace peregrine::bench {

/// One end of two pipes; messages are lines.
class Lines {
 public:
  Lines(int in, int out) : in_(in), out_(out) {}
  /// Waits for a line; empty when the other side is gone.
  std::string read();
  void write(const std::string& line);

 private:
  const int in_, out_;
  std::string pending_;
};

/// What a line of another process says went wrong; empty when nothing did.
std::string error_in(const std::string& line);

/// A process of its own for CUDA work, so that a crash in the driver costs one row of a table. The
/// parent must not have used CUDA, which does not survive a fork, nor have threads.
class Forked {
 public:
  /// `work` runs in the new process; a line "error WORDS" follows when it throws.
  explicit Forked(const std::function<void(Lines&)>& work);
  Forked(Forked&& other) noexcept;
  ~Forked();  // ends the process
  Lines& lines() { return lines_; }

 private:
  struct Pipes;
  explicit Forked(const std::function<void(Lines&)>& work, const Pipes& pipes);

  pid_t process_ = -1;
  int in_ = -1, out_ = -1;
  Lines lines_;
};

}  // namespace peregrine::bench
