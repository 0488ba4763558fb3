// SPDX-License-Identifier: Apache-2.0
#include "output/picture_fit.h"

#include <gtest/gtest.h>

#include "test_picture.h"

namespace peregrine::output {
namespace {

TEST(PictureFit, AFrameThatFitsIsPassedOn) {
  const Frame frame = plain_picture(64, 36, PixelFormat::kYuv420p, 90);
  PictureFit fit(frame);
  EXPECT_EQ(fit.fit(frame).planes[0].data, frame.planes[0].data);
}

TEST(PictureFit, AnotherSizeIsScaledAndLetterboxed) {
  PictureFit fit(plain_picture(64, 36, PixelFormat::kYuv420p, 90));
  Frame narrow = plain_picture(96, 108, PixelFormat::kYuv420p, 200, 90, 150);
  narrow.info.index = 7;
  const Frame fitted = fit.fit(narrow);
  EXPECT_EQ(fitted.info.width, 64);
  EXPECT_EQ(fitted.info.height, 36);
  EXPECT_EQ(fitted.info.index, 7);
  // 96 x 108 becomes 32 x 36 in the middle.
  EXPECT_NEAR(sample(fitted, 0, 32, 18), 200, 2);
  EXPECT_NEAR(sample(fitted, 1, 16, 9), 90, 2);
  EXPECT_NEAR(sample(fitted, 2, 16, 9), 150, 2);
  EXPECT_EQ(sample(fitted, 0, 8, 18), 16);
  EXPECT_EQ(sample(fitted, 1, 4, 9), 128);
  EXPECT_EQ(sample(fitted, 0, 56, 18), 16);
}

TEST(PictureFit, AnotherColorSpaceIsConverted) {
  Frame first = plain_picture(64, 36, PixelFormat::kYuv420p, 90);
  first.matrix = ColorMatrix::kBt709;
  PictureFit fit(first);
  // Full-range BT.601 red, as BT.709 limited.
  Frame red = plain_picture(64, 36, PixelFormat::kYuv420p, 76, 85, 255);
  red.matrix = ColorMatrix::kBt601;
  red.range = ColorRange::kFull;
  const Frame fitted = fit.fit(red);
  EXPECT_EQ(fitted.matrix, ColorMatrix::kBt709);
  EXPECT_EQ(fitted.range, ColorRange::kLimited);
  EXPECT_NEAR(sample(fitted, 0, 32, 18), 63, 3);
  EXPECT_NEAR(sample(fitted, 1, 16, 9), 102, 3);
  EXPECT_NEAR(sample(fitted, 2, 16, 9), 240, 3);
}

TEST(PictureFit, EveryHostFormatAndOddSizes) {
  PictureFit fit(plain_picture(65, 37, PixelFormat::kYuv420p, 90));
  for (const PixelFormat format : {PixelFormat::kYuv420p, PixelFormat::kYuv444p, PixelFormat::kNv12,
                                   PixelFormat::kRgb24, PixelFormat::kGray8}) {
    for (const auto& [width, height] : {std::pair{130, 74}, {31, 17}, {3, 200}, {200, 2}}) {
      const Frame fitted = fit.fit(plain_picture(width, height, format, 128));
      EXPECT_EQ(fitted.info.width, 65);
      EXPECT_EQ(fitted.format, PixelFormat::kYuv420p);
      // The narrowest of them covers columns 30 and 31, the lowest rows 16 and 17.
      EXPECT_GT(sample(fitted, 0, 31, 17), 60) << to_string(format) << " " << width;
      EXPECT_EQ(sample(fitted, 0, 32, 17) == 16, width == 3) << to_string(format) << " " << width;
    }
  }
}

}  // namespace
}  // namespace peregrine::output
