// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>
#include <random>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

/// A two-second clip of 40 frames, and the offset of its picture data.
std::string make_clip(const TemporaryFolder& folder, const std::string& name,
                      const std::string& arguments = "-c:v libx264 -g 10 -bf 0") {
  ffmpeg("-f lavfi -i testsrc2=s=160x120:r=20:d=2 " + arguments + " '" + folder / name + "'");
  return folder / name;
}

class Truncated : public ::testing::TestWithParam<const char*> {};

TEST_P(Truncated, FileGivesItsWholeFramesAndThenSaysSo) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string arguments =
      "-c:v mpeg4 -g 10 " +
      std::string(GetParam() == std::string("fast.mp4")   ? "-movflags faststart"
                  : GetParam() == std::string("frag.mp4") ? "-movflags frag_keyframe+empty_moov"
                                                          : "");
  const std::string path = make_clip(folder, GetParam(), arguments);
  const auto whole = read_all(path);
  ASSERT_EQ(whole.frames.size(), 40U);
  ASSERT_EQ(whole.error, "");
  const std::string bytes = contents(path);
  write_file(path, bytes.substr(0, bytes.size() * 6 / 10));
  const Reading reading = read_all(path);
  EXPECT_GT(reading.frames.size(), 10U);
  EXPECT_LT(reading.frames.size(), 40U);
  // What was read is what was there: same times, same pixels, none half decoded.
  for (std::size_t i = 0; i < reading.frames.size(); ++i) {
    EXPECT_EQ(reading.frames[i].info.pts, whole.frames[i].info.pts);
    for (int y = 0; y < 120; y += 17) {
      for (int x = 0; x < 160; x += 13) {
        ASSERT_EQ(pixel(reading.frames[i], x, y), pixel(whole.frames[i], x, y)) << i;
      }
    }
  }
  EXPECT_EQ(reading.code, ErrorCode::kInputCorrupt);
  EXPECT_NE(reading.error.find(path), std::string::npos) << reading.error;
  EXPECT_NE(reading.error.find("is truncated"), std::string::npos) << reading.error;
}
INSTANTIATE_TEST_SUITE_P(All, Truncated,
                         ::testing::Values("fast.mp4", "frag.mp4", "cut.mkv", "cut.avi"),
                         [](const auto& each) {
                           std::string name = each.param;
                           name[name.find('.')] = '_';
                           return name;
                         });

TEST(BadInput, CutBeforeItsIndexCannotBeOpened) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = make_clip(folder, "a.mp4");
  const std::string bytes = contents(path);
  write_file(path, bytes.substr(0, bytes.size() / 2));
  EXPECT_ERROR(open(path), ErrorCode::kInputCorrupt, "a.mp4' is no video or picture that libav");
}

TEST(BadInput, CorruptPacketsAreCountedAndTheStreamGoesOn) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path =
      make_clip(folder, "a.mkv", "-c:v libvpx -g 1 -auto-alt-ref 0 -lag-in-frames 0");
  std::string bytes = contents(path);
  std::size_t destroyed = 0;
  const std::string signature = "\x9d\x01\x2a";  // of VP8 key frames
  for (std::size_t at = 0, count = 0; (at = bytes.find(signature, at)) != std::string::npos;
       at += 3) {
    if (++count % 10 == 0) {
      bytes.replace(at, 3, "XXX");
      ++destroyed;
    }
  }
  ASSERT_EQ(destroyed, 4U);
  write_file(path, bytes);
  const Reading reading = read_all(path);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.frames.size(), 36U);
  EXPECT_EQ(reading.corrupt, 4);
  EXPECT_EQ(reading.frames.at(9).info.pts, 500);  // the tenth is gone; the clock went on
}

TEST(BadInput, DamageInsideH264IsCounted) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = make_clip(folder, "a.mp4");
  std::string bytes = contents(path);
  const std::size_t data = bytes.find("mdat"), end = bytes.find("moov");
  ASSERT_LT(data, end);
  for (std::size_t at = data + 2000; at + 400 < end; at += 1500) bytes[at] ^= 0x55;
  write_file(path, bytes);
  const Reading reading = read_all(path);
  EXPECT_EQ(reading.error, "");
  EXPECT_GT(reading.corrupt, 0);
  EXPECT_GT(reading.frames.size(), 20U);
}

TEST(BadInput, SoundAloneHasNoVideo) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i sine=d=1 -c:a aac '" + folder / "a.mp4" + "'");
  EXPECT_ERROR(open(folder / "a.mp4"), ErrorCode::kInputUnsupported, "has no video stream");
  // A cover picture does not make it one.
  ffmpeg("-f lavfi -i color=s=64x64:d=1 -frames:v 1 '" + folder / "cover.png" + "'");
  ffmpeg("-i '" + folder / "a.mp4" + "' -i '" + folder / "cover.png" +
         "' -map 0 -map 1 -c copy -disposition:v attached_pic '" + folder / "b.m4a" + "'");
  EXPECT_ERROR(open(folder / "b.m4a"), ErrorCode::kInputUnsupported, "holds only sound");
}

TEST(BadInput, GarbageIsRefusedQuickly) {
  const TemporaryFolder folder;
  std::mt19937 random(7);
  for (const char* name : {"a.mp4", "a.mkv", "a.ts", "a", "a.h264"}) {
    std::string bytes(300000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    write_file(folder / name, bytes);
    const auto start = std::chrono::steady_clock::now();
    try {
      read_all(folder / name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kInputCorrupt ||
                  error.code() == ErrorCode::kInputUnsupported)
          << error.what();
      EXPECT_NE(std::string(error.what()).find(folder / name), std::string::npos) << error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << name;
  }
}

TEST(BadInput, MissingEmptyAndUnreachableFilesAreNamed) {
  const TemporaryFolder folder;
  EXPECT_ERROR(open("/no/such/file.mp4"), ErrorCode::kInputNotFound,
               "'/no/such/file.mp4': not found");
  EXPECT_ERROR(open("gopher://host/x"), ErrorCode::kInputNotFound, "none of rtsp, rtsps, http");
  write_file(folder / "empty.mp4", "");
  EXPECT_ERROR(open(folder / "empty.mp4"), ErrorCode::kInputCorrupt, "empty.mp4' is empty");
}

TEST(BadInput, HeaderOfZeroSizeIsRefused) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = make_clip(folder, "a.avi", "-c:v rawvideo -pix_fmt yuv420p");
  std::string bytes = contents(path);
  const std::size_t format = bytes.find("strf");
  ASSERT_NE(format, std::string::npos);
  for (std::size_t i = 12; i < 20; ++i) bytes[format + i] = 0;  // BITMAPINFOHEADER width, height
  write_file(path, bytes);
  EXPECT_ERROR(open(path), ErrorCode::kInputCorrupt, path);
}

TEST(BadInput, CancelledOpeningSaysSo) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string path = make_clip(folder, "a.mp4");
  const std::atomic<bool> cancel = true;
  video::SourceOptions options;
  options.cancel = &cancel;
  EXPECT_ERROR(open(path, options), ErrorCode::kInterrupted, "stopped");
}

}  // namespace
}  // namespace peregrine::testing
