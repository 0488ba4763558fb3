// SPDX-License-Identifier: Apache-2.0
#include "video/encoder.h"

#include <fmt/format.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "video/capabilities.h"
#include "video/clips.h"

namespace peregrine::testing {
namespace {

using video::EncoderOptions;
using video::VideoEncoder;

/// A frame of one colour: three values as its format stores them.
Frame flat(PixelFormat format, int width, int height, std::array<int, 3> color, std::int64_t pts,
           Rational time_base) {
  Frame frame;
  frame.format = format;
  frame.info.width = width;
  frame.info.height = height;
  frame.info.pts = pts;
  frame.info.time_base = time_base;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(
      static_cast<std::size_t>(3 * (width + 1) * (height + 1)));
  const int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
  std::uint8_t* next = bytes->data();
  const auto plane = [&](std::size_t index, int columns, int rows, std::vector<int> element) {
    const int row_bytes = columns * static_cast<int>(element.size());
    frame.planes[index] = {next, row_bytes};
    for (int i = 0; i < row_bytes * rows; ++i) {
      *next++ = static_cast<std::uint8_t>(element[static_cast<std::size_t>(i) % element.size()]);
    }
  };
  switch (format) {
    case PixelFormat::kRgb24: plane(0, width, height, {color[0], color[1], color[2]}); break;
    case PixelFormat::kGray8: plane(0, width, height, {color[0]}); break;
    case PixelFormat::kNv12:
      plane(0, width, height, {color[0]});
      plane(1, half_width, half_height, {color[1], color[2]});
      break;
    case PixelFormat::kYuv444p:
      for (std::size_t i = 0; i < 3; ++i) plane(i, width, height, {color[i]});
      break;
    default:
      plane(0, width, height, {color[0]});
      plane(1, half_width, half_height, {color[1]});
      plane(2, half_width, half_height, {color[2]});
  }
  frame.storage = bytes;
  return frame;
}

EncoderOptions options_for(int width, int height, Rational time_base = {1, 90000}) {
  EncoderOptions options;
  options.width = width;
  options.height = height;
  options.time_base = time_base;
  options.frame_rate = {10, 1};
  return options;
}

class EveryEncoder : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryEncoder, KeepsVariableTimesFromTheFirstFrameOn) {
  const TemporaryFolder folder;
  const std::string path = folder / "out.partial";  // sinks rename it later
  const std::vector<std::int64_t> times = {0, 3003, 3004, 9000, 100000, 190000, 700001, 700002};
  EncoderOptions options = options_for(64, 48);
  options.encoder = GetParam();
  VideoEncoder encoder(path, options);
  for (const std::int64_t time : times) {
    encoder.write(
        flat(PixelFormat::kYuv420p, 64, 48, {90, 110, 150}, 12345678901 + time, {1, 90000}));
  }
  encoder.finish();
  EXPECT_EQ(encoder.codec(),
            options.encoder.empty() ? video::video_capabilities().encoder : options.encoder);
  const Reading reading = read_all(path);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.pts(), times);
  EXPECT_EQ(reading.frames.at(0).info.time_base, (Rational{1, 90000}));
  const auto got = pixel(reading.frames.at(4), 30, 30);
  EXPECT_NEAR(got[0], 90, 2);
  EXPECT_NEAR(got[1], 110, 2);
  EXPECT_NEAR(got[2], 150, 2);
}

// MPEG-4 Part 2 has no time base of 1/90000; its container has.
INSTANTIATE_TEST_SUITE_P(VideoEncoder, EveryEncoder, ::testing::Values("", "mpeg4"),
                         [](const auto& each) {
                           return std::string(*each.param == 0 ? "best" : each.param);
                         });

TEST(VideoEncoder, MovesTimesThatDoNotRise) {
  const TemporaryFolder folder;
  VideoEncoder encoder(folder / "a.mp4", options_for(32, 32));
  for (const int time : {500, 500, 400, 600}) {
    encoder.write(flat(PixelFormat::kYuv420p, 32, 32, {90, 128, 128}, time, {1, 90000}));
  }
  encoder.finish();
  EXPECT_EQ(read_all(folder / "a.mp4").pts(), (std::vector<std::int64_t>{0, 1, 2, 100}));
}

struct Picture {
  PixelFormat format;
  ColorMatrix matrix;
  ColorRange range;
  std::array<int, 3> color;
  std::array<int, 3> expected;
};

TEST(VideoEncoder, TakesEveryFormatAndTagsItsColors) {
  const TemporaryFolder folder;
  using enum ColorMatrix;
  using enum ColorRange;
  // Expected values of RGB (200, 50, 100) from the definitions in BT.601 and BT.709.
  const Picture pictures[] = {
      {PixelFormat::kYuv420p, kBt601, kLimited, {90, 60, 200}, {90, 60, 200}},
      {PixelFormat::kYuv420p, kBt709, kFull, {250, 60, 200}, {250, 60, 200}},
      {PixelFormat::kYuv444p, kBt2020, kLimited, {90, 60, 200}, {90, 60, 200}},
      {PixelFormat::kNv12, kBt709, kLimited, {90, 60, 200}, {90, 60, 200}},
      {PixelFormat::kGray8, kBt709, kLimited, {90, 90, 90}, {90, 128, 128}},
      {PixelFormat::kRgb24, kBt601, kLimited, {200, 50, 100}, {102, 128, 190}},
      {PixelFormat::kRgb24, kBt709, kLimited, {200, 50, 100}, {89, 135, 192}},
      {PixelFormat::kRgb24, kBt709, kFull, {200, 50, 100}, {86, 136, 201}},
  };
  for (const Picture& picture : pictures) {
    EncoderOptions options = options_for(64, 48);
    options.matrix = picture.matrix;
    options.range = picture.range;
    VideoEncoder encoder(folder / "a.mp4", options);
    for (int i = 0; i < 3; ++i) {
      encoder.write(flat(picture.format, 64, 48, picture.color, i * 9000, {1, 90000}));
    }
    encoder.finish();
    const Frame frame = read_all(folder / "a.mp4").frames.at(1);
    SCOPED_TRACE(to_string(picture.format));
    EXPECT_EQ(frame.matrix, picture.matrix);
    EXPECT_EQ(frame.range, picture.range);
    const auto got = pixel(frame, 30, 30);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(got[i], picture.expected[i], 3) << i;
  }
}

TEST(VideoEncoder, RepeatsTheEdgeOfOddPictures) {
  const TemporaryFolder folder;
  for (const PixelFormat format : {PixelFormat::kYuv420p, PixelFormat::kYuv444p}) {
    VideoEncoder encoder(folder / "a.mp4", options_for(63, 41));
    for (int i = 0; i < 3; ++i) {
      encoder.write(flat(format, 63, 41, {200, 90, 160}, i * 9000, {1, 90000}));
    }
    encoder.finish();
    const Frame frame = read_all(folder / "a.mp4").frames.at(2);
    EXPECT_EQ(frame.info.width, 64);
    EXPECT_EQ(frame.info.height, 42);
    EXPECT_NEAR(pixel(frame, 63, 41)[0], 200, 3);
    EXPECT_NEAR(pixel(frame, 63, 41)[1], 90, 3);
  }
}

TEST(VideoEncoder, RefusesWhatDoesNotFit) {
  const TemporaryFolder folder;
  EXPECT_ERROR(VideoEncoder(folder / "a.mp4", options_for(0, 48)), ErrorCode::kInvalidArgument,
               "pictures of 0x48");
  EncoderOptions unknown = options_for(64, 48);
  unknown.encoder = "libnone";
  EXPECT_ERROR(VideoEncoder(folder / "a.mp4", unknown), ErrorCode::kOutput, "libnone was tried");
  VideoEncoder encoder(folder / "a.mp4", options_for(64, 48));
  EXPECT_ERROR(encoder.write(flat(PixelFormat::kYuv420p, 32, 48, {0, 0, 0}, 0, {1, 1})),
               ErrorCode::kInvalidArgument, "takes 64x48 pictures on the CPU, not 32x48");
}

TEST(VideoEncoder, NamesThePathThatCannotBeWritten) {
  EXPECT_ERROR(VideoEncoder("/no/such/folder/a.mp4", options_for(64, 48)), ErrorCode::kOutput,
               "'/no/such/folder/a.mp4': cannot be created");
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  const auto fill_the_disk = [] {
    VideoEncoder encoder("/dev/full", options_for(64, 48));
    for (int i = 0; i < 100; ++i) {
      encoder.write(flat(PixelFormat::kYuv420p, 64, 48, {i * 2, 90, 160}, i * 9000, {1, 90000}));
    }
    encoder.finish();
  };
  EXPECT_ERROR(fill_the_disk(), ErrorCode::kOutput, "'/dev/full'");
  EXPECT_ERROR(fill_the_disk(), ErrorCode::kOutput, "No space left on device; free space");
}

TEST(VideoEncoder, LeavesAPlayableFileWhenKilled) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.mp4";
  const pid_t child = ::fork();
  if (child == 0) {
    EncoderOptions options = options_for(64, 48);
    options.threads = 1;
    VideoEncoder encoder(path, options);
    for (int i = 0; i < 150; ++i) {
      encoder.write(flat(PixelFormat::kYuv420p, 64, 48, {i, 90, 160}, i * 9000, {1, 90000}));
    }
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  const Reading reading = read_all(path);
  EXPECT_GE(reading.frames.size(), 60U);  // the rest was still inside the encoder
  EXPECT_EQ(reading.pts().at(59), 59 * 9000);
}

TEST(VideoCapabilities, NameWhatDebiansLibavHas) {
  const auto capabilities = video::video_capabilities();
  EXPECT_NE(capabilities.libav_version.find("libavcodec "), std::string::npos);
  ASSERT_FALSE(capabilities.decoders.empty());
  EXPECT_EQ(capabilities.decoders.front().name, "H.264");
  EXPECT_TRUE(capabilities.decoders.front().available);
  EXPECT_FALSE(capabilities.encoder.empty());
  EXPECT_TRUE(capabilities.has_rtsp);
}

}  // namespace
}  // namespace peregrine::testing
