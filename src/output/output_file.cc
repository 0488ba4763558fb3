// SPDX-License-Identifier: Apache-2.0
#include "output/output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::output {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStandardOutput = "-";

// Keeps SIGPIPE away while this thread writes to a pipe: a library must not change how the program
// handles signals, and the default would kill it.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    // The signal of a failed write waits for this thread; it is taken off before it can arrive.
    const timespec now{};
    if (!was_pending_) {
      while (sigtimedwait(&pipe_, nullptr, &now) == -1 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

// Returns errno, or 0 when all is written.
int write_all(int descriptor, std::string_view piece) {
  while (!piece.empty()) {
    const ssize_t written = ::write(descriptor, piece.data(), piece.size());
    if (written > 0) {
      piece.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {
      // Somebody else made our standard output non-blocking; a slow reader is no error.
      pollfd writable{descriptor, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (written < 0 && errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// Devices and pipes are written where they are: they cannot be replaced by a rename.
bool is_written_in_place(const std::string& path) {
  if (path == kStandardOutput) return true;
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

// `suffix` goes before the extension.
std::string with_suffix(const std::string& path, const std::string& suffix) {
  const fs::path whole(path);
  return (whole.parent_path() / (whole.stem().string() + suffix + whole.extension().string()))
      .string();
}

}  // namespace

std::string describe_write_error(const std::string& path, int error) {
  const std::string name = path == kStandardOutput ? "standard output" : "'" + path + "'";
  const std::string cause = std::generic_category().message(error);
  const std::string folder = fs::path(path).parent_path().string();
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return fmt::format(
          "cannot write {}: {}; what was written before is kept. Free some space or "
          "write to another disk",
          name, cause);
    case EPIPE: return fmt::format("cannot write {}: its reader has gone ({})", name, cause);
    case ENOENT:
      return fmt::format("cannot write {}: folder '{}' does not exist; create it first", name,
                         folder);
    case EACCES:
    case EPERM:
    case EROFS:
      return fmt::format("cannot write {}: {}; choose a folder that you may write to", name, cause);
    default: return fmt::format("cannot write {}: {}", name, cause);
  }
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  if (path == kStandardOutput) {
    descriptor_ = STDOUT_FILENO;
    return;
  }
  do {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) fail(errno);
  owned_ = true;
  struct stat status {};
  regular_ = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
}

OutputFile::~OutputFile() {
  if (owned_) ::close(descriptor_);
}

void OutputFile::write(std::string_view piece) {
  if (!failure_.empty()) throw Error(ErrorCode::kOutput, failure_);
  int error = 0;
  if (regular_) {
    error = write_all(descriptor_, piece);
  } else {
    const WithoutSigpipe guard;
    error = write_all(descriptor_, piece);
  }
  if (error != 0) {
    // What was written of this piece is no whole line: it is taken back, and if even that fails
    // the error below is the one to report.
    if (regular_ && ::ftruncate(descriptor_, whole_) == 0) ::lseek(descriptor_, whole_, SEEK_SET);
    fail(error);
  }
  whole_ += static_cast<std::int64_t>(piece.size());
}

void OutputFile::close() {
  if (!failure_.empty()) throw Error(ErrorCode::kOutput, failure_);
  if (!owned_) return;
  owned_ = false;
  if (::close(descriptor_) != 0 && errno != EINTR) fail(errno);
}

void OutputFile::fail(int error) {
  failure_ = describe_write_error(path_, error);
  throw Error(ErrorCode::kOutput, failure_);
}

std::string stream_path(const std::string& path, int stream, bool only) {
  if (only || is_written_in_place(path)) return path;
  return with_suffix(path, fmt::format("-{}", stream));
}

std::string partial_path(const std::string& path) {
  if (is_written_in_place(path)) return path;
  return with_suffix(path, fmt::format(".partial-{}", ::getpid()));
}

void rename_into_place(const std::string& partial, const std::string& path) {
  if (partial == path) return;
  if (std::rename(partial.c_str(), path.c_str()) != 0) {
    throw Error(ErrorCode::kOutput, fmt::format("{}; the finished file is '{}'",
                                                describe_write_error(path, errno), partial));
  }
}

}  // namespace peregrine::output
