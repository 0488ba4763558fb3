// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace peregrine::video {

struct Shortfall {
  std::int64_t present = 0;   ///< bytes of the file
  std::int64_t declared = 0;  ///< bytes it should at least have
};

/// Whether a media file's own structure declares more bytes than the file has: it was cut off.
/// Knows MP4/MOV (box sizes), AVI (RIFF chunks) and Matroska/WebM (segment size); other formats,
/// and files whose writer left the length open, declare nothing. libav reports the end of such a
/// file like any other end. Reads a few bytes a box.
std::optional<Shortfall> find_shortfall(const std::string& path);

}  // namespace peregrine::video
