// SPDX-License-Identifier: Apache-2.0
#include "forked.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

#include "peregrine/error.h"

namespace peregrine::bench {
namespace {
constexpr char kError[] = "error ";
}

std::string error_in(const std::string& line) {
  if (line.rfind(kError, 0) == 0) return line.substr(std::strlen(kError));
  return line.empty() ? "the process died" : "";
}

std::string Lines::read() {
  char buffer[4096];
  for (;;) {
    if (const std::size_t end = pending_.find('\n'); end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    const ssize_t got = ::read(in_, buffer, sizeof buffer);
    if (got <= 0) return {};
    pending_.append(buffer, static_cast<std::size_t>(got));
  }
}

void Lines::write(const std::string& line) {
  std::string text = line;
  std::replace(text.begin(), text.end(), '\n', ' ');
  text += '\n';
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t wrote = ::write(out_, text.data() + sent, text.size() - sent);
    if (wrote <= 0) return;  // the other side is gone, and reading will say so
    sent += static_cast<std::size_t>(wrote);
  }
}

struct Forked::Pipes {
  int down[2], up[2];  // parent to child, child to parent

  static Pipes make() {
    Pipes pipes{};
    if (::pipe(pipes.down) != 0 || ::pipe(pipes.up) != 0) {
      throw Error(ErrorCode::kInternal, "no pipe to another process");
    }
    return pipes;
  }
};

Forked::Forked(const std::function<void(Lines&)>& work) : Forked(work, Pipes::make()) {}

Forked::Forked(const std::function<void(Lines&)>& work, const Pipes& pipes)
    : in_(pipes.up[0]), out_(pipes.down[1]), lines_(in_, out_) {
  std::fflush(nullptr);  // or both processes print what is buffered
  ::signal(SIGPIPE, SIG_IGN);
  process_ = ::fork();
  if (process_ < 0) throw Error(ErrorCode::kInternal, "no process");
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a parent that is killed ends its measurements too
    ::close(in_);
    ::close(out_);
    Lines lines(pipes.down[0], pipes.up[1]);
    try {
      work(lines);
    } catch (const std::exception& error) {
      lines.write(std::string(kError) + error.what());
    }
    std::_Exit(0);
  }
  ::close(pipes.down[0]);
  ::close(pipes.up[1]);
}

Forked::Forked(Forked&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      in_(std::exchange(other.in_, -1)),
      out_(std::exchange(other.out_, -1)),
      lines_(std::move(other.lines_)) {}

Forked::~Forked() {
  if (process_ < 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  ::close(in_);
  ::close(out_);
}

}  // namespace peregrine::bench
