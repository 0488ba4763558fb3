// SPDX-License-Identifier: Apache-2.0
#include "video/input_io.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::video {
namespace {

constexpr int kBufferBytes = 64 * 1024;
constexpr int kPollMilliseconds = 50;

int open_descriptor(const std::string& path, int flags) {
  const int descriptor =
      path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (descriptor < 0) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("'{}' cannot be opened: {}", path, std::strerror(errno)));
  }
  return descriptor;
}

}  // namespace

std::unique_ptr<InputIo> InputIo::pipe(const std::string& path, Watch& watch) {
  const int descriptor = open_descriptor(path, O_NONBLOCK);
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  return std::unique_ptr<InputIo>(new InputIo(descriptor, regular, watch));
}

std::unique_ptr<InputIo> InputIo::file(const std::string& path, Watch& watch) {
  return std::unique_ptr<InputIo>(new InputIo(open_descriptor(path, 0), true, watch));
}

InputIo::InputIo(int descriptor, bool seekable, Watch& watch)
    : descriptor_(descriptor), watch_(watch) {
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
  context_ = buffer == nullptr ? nullptr
                               : avio_alloc_context(buffer, kBufferBytes, 0, this, &InputIo::read,
                                                    nullptr, seekable ? &InputIo::seek : nullptr);
  if (context_ == nullptr) {
    av_free(buffer);
    ::close(descriptor_);
    out_of_memory("an input buffer");
  }
  context_->seekable = seekable ? AVIO_SEEKABLE_NORMAL : 0;
}

InputIo::~InputIo() {
  av_freep(&context_->buffer);  // libav may have replaced the buffer it was given
  avio_context_free(&context_);
  ::close(descriptor_);
}

int InputIo::read(void* self, std::uint8_t* buffer, int size) {
  auto& io = *static_cast<InputIo*>(self);
  for (;;) {
    if (Watch::interrupt_callback(&io.watch_) != 0) return AVERROR_EXIT;
    if (io.context_->seekable == 0) {
      pollfd entry{io.descriptor_, POLLIN, 0};
      const int ready = ::poll(&entry, 1, kPollMilliseconds);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      if (ready < 0) return AVERROR(errno);
    }
    const ssize_t got = ::read(io.descriptor_, buffer, static_cast<std::size_t>(size));
    if (got > 0) return static_cast<int>(got);
    if (got == 0) return AVERROR_EOF;
    if (errno != EINTR && errno != EAGAIN) return AVERROR(errno);
  }
}

std::int64_t InputIo::seek(void* self, std::int64_t offset, int whence) {
  const auto& io = *static_cast<InputIo*>(self);
  if (whence == AVSEEK_SIZE) {
    struct stat status {};
    return ::fstat(io.descriptor_, &status) == 0 ? status.st_size : AVERROR(errno);
  }
  const off_t position = ::lseek(io.descriptor_, offset, whence & ~AVSEEK_FORCE);
  return position < 0 ? AVERROR(errno) : position;
}

}  // namespace peregrine::video
