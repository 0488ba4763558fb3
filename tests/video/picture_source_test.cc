// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

TEST(PictureSource, ReadsEveryKindOfPictureInOrder) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const char* kinds[] = {"jpg", "png", "bmp", "webp", "tiff", "ppm"};
  int number = 8;  // up to 13: natural order differs from the alphabet's
  for (const char* kind : kinds) {
    ffmpeg(fmt::format("-f lavfi -i color=0x{:02x}8040:s={}x48:d=1 -frames:v 1 '{}'", number * 16,
                       60 + 2 * number, folder / fmt::format("p{}.{}", number, kind)));
    ++number;
  }
  const auto source = open(folder.path().string());
  EXPECT_EQ(source->info().width, 76);
  EXPECT_EQ(source->info().frame_count, 6);
  const Reading reading = read_all(*source);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.pts(), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
  for (std::size_t i = 0; i < reading.frames.size(); ++i) {
    const Frame& frame = reading.frames[i];
    EXPECT_EQ(frame.info.width, static_cast<int>(76 + 2 * i)) << i;
    EXPECT_EQ(frame.info.time_base, (Rational{1, 1}));
    EXPECT_EQ(frame.matrix, ColorMatrix::kBt601) << i;
    if (frame.format == PixelFormat::kRgb24) {
      EXPECT_NEAR(pixel(frame, 30, 20)[0], static_cast<int>((8 + i) * 16), 2) << i;
      EXPECT_NEAR(pixel(frame, 30, 20)[2], 0x40, 2) << i;
    }
  }
  EXPECT_EQ(reading.frames[0].range, ColorRange::kFull);  // JPEG
  EXPECT_NEAR(pixel(reading.frames[0], 30, 20)[0],
              static_cast<int>(.299 * 128 + .587 * 128 + .114 * 64 + .5), 2);
  EXPECT_EQ(reading.frames[1].format, PixelFormat::kRgb24);  // PNG
}

TEST(PictureSource, SkipsTheUnreadableAndKeepsTheirPlace) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i testsrc2=s=64x48:r=1:d=6 '" + folder / "%d.png" + "'");
  write_file(folder / "1.png", "not a picture");
  write_file(folder / "3.png", "");
  write_file(folder / "4.png", contents(folder / "4.png").substr(0, 60));
  const auto source = open(folder.path().string());
  const Reading reading = read_all(*source);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.pts(), (std::vector<std::int64_t>{1, 4, 5}));
  EXPECT_EQ(reading.frames.at(1).info.index, 4);
  EXPECT_EQ(reading.corrupt, 3);

  video::SourceOptions options;
  options.every = 2;
  EXPECT_EQ(read_all(folder.path().string(), options).pts(), (std::vector<std::int64_t>{4}));
}

TEST(PictureSource, FailsWhenNoneIsReadable) {
  const TemporaryFolder folder;
  write_file(folder / "a.jpg", "not a picture");
  EXPECT_ERROR(open(folder.path().string()), ErrorCode::kInputCorrupt, "a.jpg");
}

TEST(PictureSource, RefusesAHugePictureBeforeItIsAllocated) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i color=s=400x20:d=1 -frames:v 1 '" + folder / "a.png" + "'");
  video::SourceOptions options;
  options.max_side = 399;
  EXPECT_ERROR(open(folder / "a.png", options), ErrorCode::kInputUnsupported,
               "400x20 exceed the limit of 399");
}

TEST(PictureSource, HonoursTheOrientationInExif) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i color=red:s=64x32:d=1 -frames:v 1 '" + folder / "a.jpg" + "'");
  const std::string jpeg = contents(folder / "a.jpg");
  // APP1: TIFF, big-endian, one entry: tag 0x0112 (orientation), SHORT, 6 = turn clockwise.
  const std::string exif(
      "\xff\xe1\x00\x22"
      "Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
      36);
  write_file(folder / "a.jpg", jpeg.substr(0, 2) + exif + jpeg.substr(2));
  const Frame frame = read_all(folder / "a.jpg").frames.at(0);
  EXPECT_EQ(frame.info.width, 32);
  EXPECT_EQ(frame.info.height, 64);
}

}  // namespace
}  // namespace peregrine::testing
