// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace peregrine::video {

struct DecoderSupport {
  std::string name;        ///< "H.264", "HEVC", ...: for people
  bool available = false;  ///< libav on this machine decodes it on the CPU
};

/// What video this machine can read and write; for `doctor`.
struct VideoCapabilities {
  std::string libav_version;  ///< FFmpeg's version, with libavcodec's and libavformat's
  std::vector<DecoderSupport> decoders;
  /// libav's encoder for annotated video: "libx264", "libopenh264" or "mpeg4"; empty when it has
  /// none of them.
  std::string encoder;
  bool has_rtsp = false;
};
VideoCapabilities video_capabilities();

}  // namespace peregrine::video
