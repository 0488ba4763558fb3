// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

using video::SourceOptions;

constexpr const char* kPattern = "-f lavfi -i testsrc2=s=176x144:r=25:d=1.2 ";

/// What ffprobe, which decodes with the same library but its own timestamp code, sees.
std::vector<std::int64_t> ffprobe_pts(const std::string& path) {
  std::istringstream text(shell(
      fmt::format("ffprobe -v error -select_streams v:0 -show_entries frame=best_effort_timestamp "
                  "-of csv=p=0 '{}' | tr -d ','",
                  path)));
  std::vector<std::int64_t> pts;
  for (std::int64_t value = 0; text >> value;) pts.push_back(value);
  return pts;
}

struct Clip {
  const char* label;
  const char* file;
  const char* arguments;
};
void PrintTo(const Clip& clip, std::ostream* out) { *out << clip.label; }

class Containers : public ::testing::TestWithParam<Clip> {};

TEST_P(Containers, GiveEveryFrameAtItsExactTime) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / GetParam().file;
  ffmpeg(kPattern + std::string(GetParam().arguments) + " '" + path + "'");
  const auto source = open(path);
  const Reading reading = read_all(*source);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.corrupt, 0);
  ASSERT_EQ(reading.frames.size(), 30U);
  // ffprobe knows no time for the last frame of an MPEG program stream.
  const auto expected = ffprobe_pts(path);
  ASSERT_GE(expected.size(), 29U);
  auto pts = reading.pts();
  pts.resize(expected.size());
  EXPECT_EQ(pts, expected);
  for (std::size_t i = 0; i < reading.frames.size(); ++i) {
    const Frame& frame = reading.frames[i];
    EXPECT_EQ(frame.info.index, static_cast<std::int64_t>(i));
    EXPECT_EQ(frame.info.width, 176);
    EXPECT_EQ(frame.info.height, 144);
  }
  EXPECT_EQ(source->info().width, 176);
  EXPECT_EQ(source->info().height, 144);
  EXPECT_NEAR(source->info().frame_rate.value(), 25, 0.01);
  EXPECT_EQ(source->info().name, path);
  EXPECT_FALSE(source->info().live);
}

INSTANTIATE_TEST_SUITE_P(
    All, Containers,
    ::testing::Values(
        Clip{"h264_mp4", "a.mp4", "-c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p"},
        Clip{"h264_with_sound", "a.mov", "-f lavfi -i sine=d=1.2 -c:v libx264 -pix_fmt yuv420p"},
        Clip{"h264_mkv", "a.mkv", "-c:v libx264 -pix_fmt yuv420p"},
        Clip{"h264_ts", "a.ts", "-c:v libx264 -pix_fmt yuv420p"},
        Clip{"hevc_mp4", "h.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none"},
        Clip{"vp9_webm", "a.webm", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime"},
        Clip{"av1_mkv", "v.mkv", "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p"},
        Clip{"mjpeg_avi", "a.avi", "-c:v mjpeg -pix_fmt yuvj420p"},
        Clip{"mpeg4_avi", "m.avi", "-c:v mpeg4"}, Clip{"mpeg4_mp4", "m.mp4", "-c:v mpeg4 -bf 2"},
        Clip{"mpeg2_mpg", "a.mpg", "-c:v mpeg2video"},
        Clip{"fragmented", "f.mp4", "-c:v libx264 -movflags frag_keyframe+empty_moov"},
        // The name is a pattern to image2 and a protocol to avio: here it is a file.
        Clip{"odd_name", "x:%03d [1].mp4", "-f mp4 -c:v mpeg4"}),
    [](const auto& each) { return std::string(each.param.label); });

TEST(FileSource, KeepsVariableFrameTimes) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / "vfr.mp4";
  ffmpeg(
      "-f lavfi -i testsrc2=s=64x64:r=90:d=1 -vf \"select='not(mod(n,7))+not(mod(n,11))',"
      "settb=1/90000\" -vsync vfr -enc_time_base 1/90000 -c:v libx264 -video_track_timescale "
      "90000 '" +
      path + "'");
  const Reading reading = read_all(path);
  std::vector<std::int64_t> expected;
  for (int n = 0; n < 90; ++n) {
    if (n % 7 == 0 || n % 11 == 0) expected.push_back(n * 1000);
  }
  EXPECT_EQ(reading.pts(), expected);
  EXPECT_EQ(reading.frames.at(0).info.time_base, (Rational{1, 90000}));
}

TEST(FileSource, SharesTheDecodersMemoryAndKeepsItAlive) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / "a.mp4";
  ffmpeg("-f lavfi -i color=0x808080:s=64x64:r=10:d=5 -c:v libx264 -pix_fmt yuv420p '" + path +
         "'");
  const Reading reading = read_all(path);  // the source is gone by now
  ASSERT_EQ(reading.frames.size(), 50U);
  for (const Frame& frame : reading.frames) {
    EXPECT_NEAR(pixel(frame, 32, 32)[0], 126, 1);  // 128 in full range RGB, as limited luma
    EXPECT_EQ(frame.storage.use_count(), 1);
  }
}

class Selected : public ::testing::TestWithParam<const char*> {};

TEST_P(Selected, StartEndEveryAndMaxFrames) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / GetParam();
  ffmpeg("-f lavfi -i testsrc2=s=64x64:r=20:d=8 -c:v libx264 -g 70 -bf 2 '" + path + "'");
  const auto all = read_all(path).pts();
  ASSERT_EQ(all.size(), 160U);
  const auto part = [&](std::size_t from, std::size_t to, std::size_t step) {
    std::vector<std::int64_t> result;
    for (std::size_t i = from; i < to; i += step) result.push_back(all[i]);
    return result;
  };
  const auto read_with = [&](double start, double end, int every, int max) {
    SourceOptions options;
    options.start_seconds = start;
    options.end_seconds = end;
    options.every = every;
    options.max_frames = max;
    return read_all(path, options);
  };
  EXPECT_EQ(read_with(2.5, 0, 1, 0).pts(), part(50, 160, 1));
  EXPECT_EQ(read_with(2.51, 7.0, 1, 0).pts(), part(51, 140, 1));
  EXPECT_EQ(read_with(0.05, 0.15, 1, 0).pts(), part(1, 3, 1));
  EXPECT_EQ(read_with(0, 0, 7, 0).pts(), part(0, 160, 7));
  EXPECT_EQ(read_with(7.95, 0, 1, 0).pts(), part(159, 160, 1));
  const Reading both = read_with(1, 0, 3, 4);
  EXPECT_EQ(both.pts(), part(20, 32, 3));
  EXPECT_EQ(both.frames.at(3).info.index, 9);
  const Reading behind = read_with(100, 0, 1, 0);
  EXPECT_TRUE(behind.frames.empty());
  EXPECT_EQ(behind.error, "");
}
INSTANTIATE_TEST_SUITE_P(All, Selected, ::testing::Values("a.mp4", "a.mkv", "a.ts"),
                         [](const auto& each) { return std::string(each.param + 2); });

class Looped : public ::testing::TestWithParam<const char*> {};

TEST_P(Looped, TimesAndIndicesGoOn) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / GetParam();
  // Under a second, so that a step back in time is no sign of a new round.
  ffmpeg("-f lavfi -i testsrc2=s=64x64:r=25:d=0.8 -c:v libx264 -g 8 -bf 2 '" + path + "'");
  const Reading once = read_all(path);
  ASSERT_EQ(once.frames.size(), 20U);
  SourceOptions options;
  options.loop = 3;
  const auto source = open(path, options);
  EXPECT_EQ(source->info().frame_count, 3 * open(path)->info().frame_count);  // 0: unknown
  const Reading thrice = read_all(*source);
  EXPECT_EQ(thrice.error, "");
  EXPECT_EQ(thrice.corrupt, 0);
  ASSERT_EQ(thrice.frames.size(), 60U);
  for (std::size_t i = 0; i < 60; ++i) {
    EXPECT_EQ(thrice.frames[i].info.index, static_cast<std::int64_t>(i));
    const double since = thrice.frames[i].info.seconds() - thrice.frames[0].info.seconds();
    EXPECT_NEAR(since, static_cast<double>(i) / 25, 0.0015) << i;  // Matroska counts milliseconds
    EXPECT_EQ(pixel(thrice.frames[i], 20, 30), pixel(once.frames[i % 20], 20, 30)) << i;
    EXPECT_GT(thrice.frames[i].received, 0);
  }
  options.max_frames = 25;
  EXPECT_EQ(read_all(path, options).frames.size(), 25U);
}
INSTANTIATE_TEST_SUITE_P(All, Looped, ::testing::Values("a.mp4", "a.mkv", "a.ts", "a.h264"),
                         [](const auto& each) { return std::string(each.param + 2); });

// What a file lacks is said after its first round, not after the last of a million.
TEST(FileSource, ATruncatedFileIsReadOnce) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = folder / "cut.mp4";
  ffmpeg("-f lavfi -i testsrc2=s=128x96:r=25:d=2 -c:v libx264 -g 8 -movflags +faststart '" + path +
         "'");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) * 2 / 3);
  SourceOptions options;
  options.loop = 1'000'000;
  const Reading reading = read_all(path, options);
  EXPECT_NE(reading.error.find("is truncated"), std::string::npos) << reading.error;
  EXPECT_GT(reading.frames.size(), 10U);
  EXPECT_LT(reading.frames.size(), 50U);
}

TEST(FileSource, APipeCannotBeReadAgain) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe.ts";
  shell("mkfifo '" + pipe + "'");
  SourceOptions options;
  options.loop = 2;
  EXPECT_ERROR(open(pipe, options), ErrorCode::kUsage, "pipe.ts' comes once; --loop");
}

TEST(FileSource, FollowsAChangeOfResolution) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i testsrc2=s=128x96:r=10:d=1 -c:v libx264 '" + folder / "a.ts" + "'");
  ffmpeg("-f lavfi -i testsrc2=s=64x160:r=10:d=1 -c:v libx264 -output_ts_offset 1 '" +
         folder / "b.ts" + "'");
  write_file(folder / "c.ts", contents(folder / "a.ts") + contents(folder / "b.ts"));
  const Reading reading = read_all(folder / "c.ts");
  EXPECT_EQ(reading.error, "");
  ASSERT_EQ(reading.frames.size(), 20U);
  EXPECT_EQ(reading.frames[9].info.width, 128);
  EXPECT_EQ(reading.frames[10].info.width, 64);
  EXPECT_EQ(reading.frames[10].info.height, 160);

  SourceOptions options;
  options.max_side = 140;
  const Reading limited = read_all(folder / "c.ts", options);
  EXPECT_EQ(limited.code, ErrorCode::kInputUnsupported);
  EXPECT_NE(limited.error.find("64x160 exceed the limit of 140"), std::string::npos)
      << limited.error;
}

TEST(FileSource, KeepsTimesRisingAcrossJoinedRecordings) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i testsrc2=s=64x64:r=10:d=3 -c:v libx264 '" + folder / "a.ts" + "'");
  write_file(folder / "c.ts", contents(folder / "a.ts") + contents(folder / "a.ts"));
  const auto pts = read_all(folder / "c.ts").pts();
  ASSERT_EQ(pts.size(), 60U);
  for (std::size_t i = 1; i < pts.size(); ++i) EXPECT_EQ(pts[i] - pts[i - 1], 9000) << i;
}

TEST(FileSource, RefusesPicturesOverTheLimit) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i testsrc2=s=300x16:r=10:d=0.5 -c:v libx264 '" + folder / "a.mp4" + "'");
  ffmpeg("-f lavfi -i testsrc2=s=300x16:r=10:d=0.5 -c:v libx264 '" + folder / "a.ts" + "'");
  SourceOptions options;
  options.max_side = 299;
  for (const char* name : {"a.mp4", "a.ts"}) {
    EXPECT_ERROR(open(folder / name, options), ErrorCode::kInputUnsupported,
                 "300x16 exceed the limit of 299");
  }
  options.max_side = 300;
  EXPECT_EQ(read_all(folder / "a.mp4", options).frames.size(), 5U);
}

}  // namespace
}  // namespace peregrine::testing
