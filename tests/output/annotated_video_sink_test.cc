// SPDX-License-Identifier: Apache-2.0
// The MP4 as other programs see it: ffprobe and ffmpeg read it back.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "output/canvas.h"
#include "output/sink.h"
#include "peregrine/error.h"
#include "test_picture.h"
#include "video/clips.h"

namespace peregrine::output {
namespace {

using peregrine::testing::shell;
using peregrine::testing::TemporaryFolder;

constexpr int kWidth = 320, kHeight = 180;
constexpr int kGrey = 40;

// Presentation times in seconds.
std::vector<double> times_in(const std::string& path) {
  std::istringstream lines(
      shell("ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 '" +
            path + "'"));
  std::vector<double> times;
  for (std::string line; std::getline(lines, line);) times.push_back(std::stod(line));
  std::sort(times.begin(), times.end());  // packets come in decoding order
  return times;
}

// Luma of all frames, one after the other.
std::string luma_of(const std::string& path) {
  return shell("ffmpeg -v quiet -i '" + path + "' -vsync passthrough -f rawvideo -pix_fmt gray -");
}

StreamInfo stream_info(int stream) {
  return {.stream = stream,
          .source = "test",
          .width = kWidth,
          .height = kHeight,
          .frame_rate = {25, 1},
          .time_base = {1, 1000}};
}

void write_frame(Sink& sink, int stream, std::int64_t pts, int width = kWidth,
                 int height = kHeight) {
  Frame frame = plain_picture(width, height, PixelFormat::kYuv420p, kGrey);
  frame.info.stream = stream;
  frame.info.pts = pts;
  frame.info.time_base = {1, 1000};
  FrameResult result;
  result.frame = frame.info;
  result.detections.boxes = {{100, 60, 200, 150}};
  result.detections.scores = {0.9f};
  result.detections.classes = {0};
  result.detections.tracks = {stream + 1};
  sink.write(result, frame);
}

TEST(AnnotatedVideoSink, WritesAVideoThatOthersRead) {
  const TemporaryFolder folder;
  const auto sink = make_annotated_video_sink(folder / "a.mp4", {{"car"}});
  EXPECT_TRUE(sink->wants_picture());
  sink->open_stream(stream_info(0));
  const std::vector<std::int64_t> pts = {5000, 5040, 5080, 5200, 5210, 6000};  // frames vary
  for (const std::int64_t time : pts) write_frame(*sink, 0, time);
  EXPECT_FALSE(folder.names().contains("a.mp4"));
  sink->close_stream(0);
  sink->finish();
  EXPECT_EQ(folder.names(), std::set<std::string>{"a.mp4"});
  EXPECT_EQ(sink->paths(), std::vector<std::string>{folder / "a.mp4"});

  const std::vector<double> times = times_in(folder / "a.mp4");
  ASSERT_EQ(times.size(), pts.size());
  for (std::size_t i = 0; i < pts.size(); ++i) {
    EXPECT_NEAR(times[i] - times[0], static_cast<double>(pts[i] - pts[0]) / 1000, 1e-3);
  }
  const std::string luma = luma_of(folder / "a.mp4");
  constexpr std::size_t kFrame = std::size_t{kWidth} * kHeight;
  ASSERT_EQ(luma.size(), pts.size() * kFrame);
  const auto luma_at = [&](std::size_t frame, int x, int y) {
    return static_cast<unsigned char>(
        luma[frame * kFrame + static_cast<std::size_t>(y) * kWidth + x]);
  };
  // ffmpeg's gray is full range.
  const double background = (kGrey - 16) * 255.0 / 219;
  EXPECT_NEAR(luma_at(5, 20, 20), background, 4);
  EXPECT_NEAR(luma_at(5, 150, 110), background, 4) << "inside the box";
  EXPECT_GT(std::abs(luma_at(5, 100, 100) - background), 15) << "its left side";
}

TEST(AnnotatedVideoSink, SeveralStreamsBecomeSeveralFilesAndNoneWithoutAPicture) {
  const TemporaryFolder folder;
  const auto sink = make_annotated_video_sink(folder / "a.mp4", {});
  for (int stream = 0; stream < 3; ++stream) sink->open_stream(stream_info(stream));
  for (int i = 0; i < 5; ++i) {
    write_frame(*sink, 0, 40 * i);
    write_frame(*sink, 2, 40 * i);
  }
  sink->finish();
  EXPECT_EQ(folder.names(), (std::set<std::string>{"a-0.mp4", "a-2.mp4"}));
  EXPECT_EQ(sink->paths(), (std::vector<std::string>{folder / "a-0.mp4", folder / "a-2.mp4"}));
  EXPECT_EQ(times_in(folder / "a-2.mp4").size(), 5u);
}

TEST(AnnotatedVideoSink, AChangeOfResolutionGoesOnInTheFirstSize) {
  const TemporaryFolder folder;
  const auto sink = make_annotated_video_sink(folder / "a.mp4", {});
  sink->open_stream(stream_info(0));
  for (int i = 0; i < 5; ++i) write_frame(*sink, 0, 40 * i);
  for (int i = 5; i < 10; ++i) write_frame(*sink, 0, 40 * i, 640, 480);
  sink->finish();
  EXPECT_EQ(luma_of(folder / "a.mp4").size(), std::size_t{10} * kWidth * kHeight);
}

TEST(AnnotatedVideoSink, WhatAKilledRunLeavesPlays) {
  const TemporaryFolder folder;
  const auto sink = make_annotated_video_sink(folder / "a.mp4", {});
  sink->open_stream(stream_info(0));
  for (int i = 0; i < 200; ++i) write_frame(*sink, 0, 40 * i);
  ASSERT_EQ(folder.names().size(), 1u);
  const std::string partial = *folder.names().begin();
  EXPECT_TRUE(partial.starts_with("a-0.partial-") && partial.ends_with(".mp4")) << partial;
  // Copied while the sink still holds it: as much as a kill would leave.
  std::filesystem::copy_file(folder / partial, folder / "left.mp4");
  EXPECT_GT(times_in(folder / "left.mp4").size(), 40u);
}

TEST(AnnotatedVideoSink, AStreamThatFailedIsNotTakenForComplete) {
  const TemporaryFolder folder;
  const auto sink = make_annotated_video_sink(folder / "a.mp4", {});
  sink->open_stream(stream_info(0));
  sink->open_stream(stream_info(1));
  write_frame(*sink, 0, 0);
  write_frame(*sink, 1, 0);
  FrameResult result;
  result.frame.stream = 0;
  Frame on_device = plain_picture(kWidth, kHeight, PixelFormat::kNv12, kGrey);
  on_device.device = Device::cuda();
  EXPECT_THROW(sink->write(result, on_device), Error);
  sink->finish();
  EXPECT_TRUE(folder.names().contains("a-1.mp4"));
  EXPECT_FALSE(folder.names().contains("a-0.mp4"));
  EXPECT_EQ(folder.names().size(), 2u) << "the temporary stays";
  EXPECT_EQ(sink->paths(), std::vector<std::string>{folder / "a-1.mp4"});
}

TEST(AnnotatedVideoSink, UnwritablePlacesShowAtOnce) {
  const auto sink = make_annotated_video_sink("/no/such/folder/a.mp4", {});
  try {
    sink->open_stream(stream_info(0));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutput);
    EXPECT_NE(std::string(error.what()).find("folder '/no/such/folder' does not exist"),
              std::string::npos)
        << error.what();
  }
}

TEST(AnnotatedVideoSink, AFullDiskIsNamed) {
  const auto sink = make_annotated_video_sink("/dev/full", {});
  sink->open_stream(stream_info(0));
  try {
    for (int i = 0; i < 200; ++i) write_frame(*sink, 0, 40 * i);
    sink->finish();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutput);
    EXPECT_NE(std::string(error.what()).find("/dev/full"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace peregrine::output
