// SPDX-License-Identifier: Apache-2.0
#include "core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine {
namespace {

// Unlike any other writer's, be it a thread of this process.
std::string partial_name(const std::string& path) {
  static std::atomic<int> count{0};
  return fmt::format("{}.partial-{}-{}", path, ::getpid(), count++);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), partial_(partial_name(path)) {
  descriptor_ =
      ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  // Closed by hand for its error; the destructor then has nothing left to do but on failure.
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed == 0 && std::rename(partial_.c_str(), path_.c_str()) == 0) return;
  const int error = errno;
  ::unlink(partial_.c_str());
  fail(error);
}

void AtomicFile::fail(int error) {
  throw Error(ErrorCode::kOutput,
              fmt::format("cannot write '{}': {}", path_, std::generic_category().message(error)));
}

}  // namespace peregrine
