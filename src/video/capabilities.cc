// SPDX-License-Identifier: Apache-2.0
#include "video/capabilities.h"

#include <string_view>

#include <fmt/format.h>

#include "video/codecs.h"

namespace peregrine::video {
namespace {

std::string version_text(unsigned version) {
  return fmt::format("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff);
}

bool has_demuxer(std::string_view wanted) {
  void* position = nullptr;
  while (const AVInputFormat* format = av_demuxer_iterate(&position)) {
    if (wanted == format->name) return true;
  }
  return false;
}

}  // namespace

VideoCapabilities video_capabilities() {
  struct Known {
    const char* name;
    AVCodecID id;
  };
  constexpr Known kKnown[] = {{"H.264", AV_CODEC_ID_H264},   {"HEVC", AV_CODEC_ID_HEVC},
                              {"VP8", AV_CODEC_ID_VP8},      {"VP9", AV_CODEC_ID_VP9},
                              {"AV1", AV_CODEC_ID_AV1},      {"MJPEG", AV_CODEC_ID_MJPEG},
                              {"MPEG-4", AV_CODEC_ID_MPEG4}, {"MPEG-2", AV_CODEC_ID_MPEG2VIDEO},
                              {"PNG", AV_CODEC_ID_PNG},      {"WebP", AV_CODEC_ID_WEBP},
                              {"TIFF", AV_CODEC_ID_TIFF}};
  VideoCapabilities capabilities;
  capabilities.libav_version =
      fmt::format("{} (libavcodec {}, libavformat {})", av_version_info(),
                  version_text(avcodec_version()), version_text(avformat_version()));
  for (const Known& known : kKnown) {
    capabilities.decoders.push_back({known.name, find_cpu_decoder(known.id) != nullptr});
  }
  const auto encoders = available_encoders();
  if (!encoders.empty()) capabilities.encoder = encoders.front()->name;
  capabilities.has_rtsp = has_demuxer("rtsp");
  return capabilities;
}

}  // namespace peregrine::video
