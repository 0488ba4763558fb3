// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace peregrine::video {

/// The length in bytes that a media file's own structure declares, when that is more than the file
/// has: it was cut off. Knows MP4/MOV (box sizes), AVI (RIFF chunks) and Matroska/WebM (segment
/// size); other formats, and files whose writer left the length open, declare nothing. libav
/// reports the end of such a file like any other end. Reads a few bytes a box.
std::optional<std::int64_t> declared_beyond_end(const std::string& path);

}  // namespace peregrine::video
