// SPDX-License-Identifier: Apache-2.0
// What needs no GPU of decoding on one: the memory asked for, and how pictures are turned.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "video/gpu_decode.h"

namespace peregrine::video {
namespace {

AVCodecParameters stream(AVCodecID codec, int width, int height, int level = 0,
                         AVPixelFormat format = AV_PIX_FMT_YUV420P) {
  AVCodecParameters parameters{};
  parameters.codec_id = codec;
  parameters.width = width;
  parameters.height = height;
  parameters.level = level;
  parameters.format = format;
  return parameters;
}

double mebibytes(const AVCodecParameters& parameters, int held) {
  return static_cast<double>(decoder_bytes(parameters, held)) / (1 << 20);
}

TEST(DecoderBytes, IsTheSurfacesAndTheBitstream) {
  // 1080p, level 4.0: four reference pictures; 2048 x 1088 x 1.5 bytes a surface; twice.
  const double surface = 2048.0 * 1088 * 1.5 / (1 << 20);
  EXPECT_NEAR(mebibytes(stream(AV_CODEC_ID_H264, 1920, 1080, 40), 0), 24 + 2 * (4 + 3) * surface,
              0.1);
  EXPECT_NEAR(mebibytes(stream(AV_CODEC_ID_H264, 1920, 1080, 40), 10),
              24 + 2 * (4 + 3 + 10) * surface, 0.1);
}

TEST(DecoderBytes, GrowsWithWhatTheStreamNeeds) {
  const auto need = [](const AVCodecParameters& parameters) {
    return decoder_bytes(parameters, 4);
  };
  EXPECT_LT(need(stream(AV_CODEC_ID_H264, 1920, 1080, 40)),
            need(stream(AV_CODEC_ID_H264, 1920, 1080, 51)))
      << "a higher level has more reference pictures";
  EXPECT_LT(need(stream(AV_CODEC_ID_HEVC, 1920, 1080)),
            need(stream(AV_CODEC_ID_HEVC, 1920, 1080, 0, AV_PIX_FMT_YUV420P10)));
  EXPECT_LT(need(stream(AV_CODEC_ID_HEVC, 1920, 1080)),
            need(stream(AV_CODEC_ID_HEVC, 1920, 1080, 0, AV_PIX_FMT_YUV444P)));
  EXPECT_LT(need(stream(AV_CODEC_ID_MJPEG, 1920, 1080)), need(stream(AV_CODEC_ID_VP9, 1920, 1080)));
}

TEST(DecoderBytes, An8kStreamFitsTheFourGigabytesPromisedForIt) {
  EXPECT_LT(mebibytes(stream(AV_CODEC_ID_HEVC, 7680, 4320), 8), 3072);
}

TEST(DecoderBytes, OddAndUnknownStreamsAreNoTrouble) {
  for (const int size : {0, 1, 15}) {
    EXPECT_GE(mebibytes(stream(AV_CODEC_ID_H264, size, size, -99), 0), 24) << size;
    EXPECT_GE(mebibytes(stream(AV_CODEC_ID_NONE, size, size, 0, AV_PIX_FMT_NONE), 0), 24) << size;
  }
}

// The GPU reads along the walk what the CPU turns; both must be the same picture.
TEST(PlaneWalk, LeadsThroughThePlaneAsItIsTurned) {
  constexpr int kWidth = 5, kHeight = 3;
  constexpr std::int64_t kStride = 24;
  for (const int element : {1, 2}) {
    std::vector<std::uint8_t> stored(kStride * kHeight);
    for (std::size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<std::uint8_t>(i);
    for (int way = 0; way < 8; ++way) {
      const Orientation turn{(way & 1) != 0, (way & 2) != 0, (way & 4) != 0};
      const PlaneWalk walk = walk_plane(turn, {stored.data(), kStride}, kWidth, kHeight, element);
      ASSERT_EQ(walk.width, turn.transpose ? kHeight : kWidth);
      ASSERT_EQ(walk.height, turn.transpose ? kWidth : kHeight);
      const std::int64_t stride = std::int64_t{walk.width} * element;
      std::vector<std::uint8_t> turned(static_cast<std::size_t>(stride * walk.height));
      orient_plane(turn, {stored.data(), kStride}, kWidth, kHeight, element, turned.data(), stride);
      for (int y = 0; y < walk.height; ++y) {
        for (int x = 0; x < walk.width; ++x) {
          EXPECT_EQ(std::memcmp(walk.origin + x * walk.step_x + y * walk.step_y,
                                turned.data() + y * stride + x * element,
                                static_cast<std::size_t>(element)),
                    0)
              << "way " << way << " at " << x << ", " << y;
        }
      }
    }
  }
}

}  // namespace
}  // namespace peregrine::video
