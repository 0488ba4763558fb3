// SPDX-License-Identifier: Apache-2.0
#include "video/gpu_decode.h"

#include <algorithm>
#include <cstdint>

namespace peregrine::video {
namespace {

// ITU-T H.264, table A-1: MaxDpbMbs by level_idc.
int h264_references(const AVCodecParameters& parameters) {
  struct Level {
    int idc;
    int macroblocks;
  };
  constexpr Level kLevels[] = {{10, 396},    {11, 900},    {12, 2376},  {20, 2376},  {21, 4752},
                               {22, 8100},   {31, 18000},  {32, 20480}, {41, 32768}, {42, 34816},
                               {50, 110400}, {52, 184320}, {62, 696320}};
  int room = kLevels[12].macroblocks;
  for (const Level& level : kLevels) {
    if (parameters.level > level.idc || parameters.level <= 0) continue;
    room = level.macroblocks;
    break;
  }
  const int macroblocks =
      std::max(1, (parameters.width + 15) / 16 * ((parameters.height + 15) / 16));
  return std::clamp(room / macroblocks, 1, 16);
}

// ITU-T H.265, A.4.2: maxDpbSize from the picture's share of the level's MaxLumaPs; six where it
// fills the level, which no level is read for: the smallest that holds the picture is assumed.
int hevc_references(const AVCodecParameters& parameters) {
  const std::int64_t samples = std::int64_t{parameters.width} * parameters.height;
  for (const std::int64_t most :
       {36864, 122880, 245760, 552960, 983040, 2228224, 8912896, 35651584}) {
    if (samples > most) continue;
    if (samples <= most / 4) return 16;
    if (samples <= most / 2) return 12;
    return samples <= most * 3 / 4 ? 8 : 6;
  }
  return 6;
}

int references(const AVCodecParameters& parameters) {
  switch (parameters.codec_id) {
    case AV_CODEC_ID_H264: return h264_references(parameters);
    case AV_CODEC_ID_HEVC: return hevc_references(parameters);
    case AV_CODEC_ID_MJPEG: return 1;
    case AV_CODEC_ID_MPEG4: return 2;
    default: return 8;  // VP9's and AV1's reference slots
  }
}

}  // namespace

std::size_t decoder_bytes(const AVCodecParameters& parameters, int held) {
  const auto format = static_cast<AVPixelFormat>(parameters.format);
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  const bool deep = description != nullptr && description->comp[0].depth > 8;
  const bool full_chroma = description != nullptr && description->log2_chroma_h == 0;
  const auto pitch =
      static_cast<std::size_t>((parameters.width * (deep ? 2 : 1) + 511) / 512) * 512;
  const auto rows = static_cast<std::size_t>((parameters.height + 15) / 16 * 16);
  const std::size_t surface = pitch * rows * (full_chroma ? 6 : 3) / 2;
  constexpr std::size_t kBitstreams = std::size_t{24} << 20;
  constexpr int kWorking = 3;  // one being decoded, two that libav adds
  return 2 * static_cast<std::size_t>(references(parameters) + kWorking + held) * surface +
         kBitstreams;
}

}  // namespace peregrine::video
