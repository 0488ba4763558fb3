// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace peregrine::bench {

struct CheckedClip {
  std::string codec;  ///< "h264"
  int width = 0, height = 0, frames = 0;
  bool right = false;
  std::string words;  ///< what was compared and found; for people
};

/// Decodes the clip on the GPU and by a reference, and compares the count of frames, their size and
/// the luma of every eighth. The reference is libav's decoder on the CPU or, where it has none,
/// the MD5 of each frame's luma in `PATH.luma.md5`. H.264, HEVC, VP8, VP9 and AV1 must be equal;
/// MJPEG and MPEG leave the rounding of their transform open, so half a level on average is
/// right. Uses CUDA. Throws `Error`.
CheckedClip check_clip(const std::string& path);

}  // namespace peregrine::bench
