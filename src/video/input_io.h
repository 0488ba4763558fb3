// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "video/libav.h"
#include "video/watch.h"

namespace peregrine::video {

/// Bytes for a demuxer that do not come through libav's own protocols.
class InputIo {
 public:
  /// A pipe, socket or terminal, read with a poll so that `watch` can end a blocked read (libav's
  /// own "pipe:" cannot be interrupted). `path` "-" is standard input, which can be sought in where
  /// it is a regular file. Throws
  /// `Error(kInputNotFound)`.
  static std::unique_ptr<InputIo> pipe(const std::string& path, Watch& watch);
  /// A regular file whose name tells libav nothing: with a name, "%03d.jpg" would be a pattern and
  /// "a:b.mp4" a protocol. Throws `Error(kInputNotFound)`.
  static std::unique_ptr<InputIo> file(const std::string& path, Watch& watch);
  ~InputIo();
  InputIo(const InputIo&) = delete;
  InputIo& operator=(const InputIo&) = delete;

  AVIOContext* context() { return context_; }

 private:
  InputIo(int descriptor, bool seekable, Watch& watch);
  static int read(void* self, std::uint8_t* buffer, int size);
  static std::int64_t seek(void* self, std::int64_t offset, int whence);

  const int descriptor_;
  Watch& watch_;
  AVIOContext* context_ = nullptr;
};

}  // namespace peregrine::video
