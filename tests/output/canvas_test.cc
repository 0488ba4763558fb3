// SPDX-License-Identifier: Apache-2.0
#include "output/canvas.h"

#include <cmath>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "peregrine/error.h"
#include "test_picture.h"

namespace peregrine::output {
namespace {

constexpr Color kRed{255, 0, 0};

void paint_rect(const Frame& picture, const PixelRect& rect, Color color, float opacity = 1) {
  Canvas canvas(picture);
  Coverage coverage;
  coverage.reset(rect, canvas.bounds());
  coverage.add_rect(rect);
  canvas.paint(coverage, color, opacity);
}

// Pure red as ITU-R BT.601, 709 and 2020 encode it (computed by hand from their weights).
TEST(Canvas, HonoursMatrixAndRange) {
  struct Case {
    ColorMatrix matrix;
    ColorRange range;
    int y, u, v;
  };
  const Case cases[] = {
      {ColorMatrix::kBt601, ColorRange::kLimited, 81, 90, 240},
      {ColorMatrix::kBt601, ColorRange::kFull, 76, 85, 255},
      {ColorMatrix::kBt709, ColorRange::kLimited, 63, 102, 240},
      {ColorMatrix::kBt709, ColorRange::kFull, 54, 99, 255},
      {ColorMatrix::kBt2020, ColorRange::kLimited, 74, 97, 240},
  };
  for (const Case& c : cases) {
    Frame picture = plain_picture(8, 8, PixelFormat::kYuv420p, 50);
    picture.matrix = c.matrix;
    picture.range = c.range;
    paint_rect(picture, {2, 2, 6, 6}, kRed);
    EXPECT_EQ(sample(picture, 0, 2, 2), c.y);
    EXPECT_EQ(sample(picture, 1, 1, 1), c.u);
    EXPECT_EQ(sample(picture, 2, 1, 1), c.v);
    EXPECT_EQ(sample(picture, 0, 1, 2), 50) << "outside";
    EXPECT_EQ(sample(picture, 1, 0, 1), 128) << "outside";
  }
}

TEST(Canvas, DrawsInEveryHostFormat) {
  const auto painted = [](PixelFormat format) {
    Frame picture = plain_picture(7, 5, format, 50, 128, 128);
    picture.range = ColorRange::kFull;
    paint_rect(picture, {2, 2, 100, 100}, kRed);  // over the odd corner
    return picture;
  };
  const Frame yuv444 = painted(PixelFormat::kYuv444p);
  EXPECT_EQ(sample(yuv444, 1, 6, 4), 99);
  EXPECT_EQ(sample(yuv444, 2, 6, 4), 255);
  EXPECT_EQ(sample(yuv444, 2, 1, 4), 128);
  const Frame yuv420 = painted(PixelFormat::kYuv420p);
  EXPECT_EQ(sample(yuv420, 0, 6, 4), 54);
  EXPECT_EQ(sample(yuv420, 1, 3, 2), 99);
  const Frame nv12 = painted(PixelFormat::kNv12);
  EXPECT_EQ(sample(nv12, 1, 6, 2), 99);
  EXPECT_EQ(sample(nv12, 1, 7, 2), 255);
  EXPECT_EQ(sample(nv12, 1, 0, 0), 128);
  const Frame rgb = painted(PixelFormat::kRgb24);
  EXPECT_EQ(sample(rgb, 0, 18, 4), 255);
  EXPECT_EQ(sample(rgb, 0, 19, 4), 0);
  EXPECT_EQ(sample(rgb, 0, 5, 4), 128);
  const Frame gray = painted(PixelFormat::kGray8);
  EXPECT_EQ(sample(gray, 0, 6, 4), 54);
}

TEST(Canvas, PaddingBehindTheRowsIsNotTouched) {
  const Frame picture = plain_picture(6, 6, PixelFormat::kYuv420p, 50);
  paint_rect(picture, {-50, -50, 50, 50}, kWhite);
  for (int y = 0; y < 6; ++y) EXPECT_EQ(sample(picture, 0, 6, y), 0);
}

TEST(Canvas, BlendsByOpacityAndHalvedChromaByArea) {
  const Frame picture = plain_picture(8, 8, PixelFormat::kYuv444p, 100);
  paint_rect(picture, {0, 0, 8, 8}, kWhite, 0.5f);
  EXPECT_NEAR(sample(picture, 0, 4, 4), (100 + 235) / 2, 1);

  const Frame halved = plain_picture(8, 8, PixelFormat::kYuv420p, 100);
  paint_rect(halved, {3, 2, 4, 4}, kRed);  // one of two columns of the chroma sample (1, 1)
  EXPECT_NEAR(sample(halved, 2, 1, 1), (128 + 240) / 2, 1);
  EXPECT_EQ(sample(halved, 2, 2, 1), 128);
}

TEST(Coverage, LinesAreAntiAliasedAndAsWideAsTold) {
  Coverage coverage;
  coverage.reset({0, 0, 100, 100}, {0, 0, 100, 100});
  coverage.add_line(20, 50, 80, 50, 2);
  double width = 0, area = 0;
  for (int y = 0; y < 100; ++y) {
    width += coverage.row(y)[50] / 255.0;
    for (int x = 0; x < 100; ++x) area += coverage.row(y)[x] / 255.0;
  }
  EXPECT_NEAR(width, 4, 0.05);
  EXPECT_NEAR(area, 60 * 4 + M_PI * 4, 3) << "a bar with two half discs";
  coverage.reset({0, 0, 100, 100}, {0, 0, 100, 100});
  coverage.add_line(80, 20, 20, 80, 1.5f);
  area = 0;
  for (int y = 0; y < 100; ++y) {
    for (int x = 0; x < 100; ++x) area += coverage.row(y)[x] / 255.0;
  }
  EXPECT_NEAR(area, std::hypot(60, 60) * 3 + M_PI * 2.25, 5) << "diagonals are not cut";
}

TEST(Coverage, ShapesOutsideAreClipped) {
  Coverage coverage;
  coverage.reset({-20, -20, 5, 5}, {0, 0, 64, 64});
  EXPECT_EQ(coverage.rect().right, 6) << "grown to an even corner";
  coverage.add_line(-1000, -1000, 1000, 1000, 2);
  coverage.add_disc(3, 3, 500);
  EXPECT_EQ(coverage.row(0)[5], 255);
  coverage.reset({100, 100, 200, 200}, {0, 0, 64, 64});
  EXPECT_TRUE(coverage.rect().empty());
  coverage.add_rect({0, 0, 500, 500});
}

TEST(Coverage, MasksAreColumnMajor) {
  // 4 wide, 3 high: column 1 from row 1 on, all of column 2, the first row of column 3.
  const Mask mask{4, 3, {4, 6, 2}};
  Coverage coverage;
  coverage.reset({0, 0, 4, 3}, {0, 0, 4, 3});
  coverage.add_mask(mask);
  const int expected[3][4] = {{0, 0, 1, 1}, {0, 1, 1, 0}, {0, 1, 1, 0}};
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 4; ++x)
      EXPECT_EQ(coverage.row(y)[x], 255 * expected[y][x]) << x << "," << y;
  }
  coverage.reset({2, 2, 4, 3}, {0, 0, 4, 3});  // a part of it
  coverage.add_mask(mask);
  EXPECT_EQ(coverage.row(2)[0], 255);
  EXPECT_EQ(coverage.row(2)[1], 0);
}

TEST(CopyPicture, ReusesItsMemoryOnlyWhenNobodyHoldsIt) {
  const Frame picture = plain_picture(64, 48, PixelFormat::kNv12, 77, 90, 200);
  std::shared_ptr<std::vector<std::uint8_t>> memory;
  Frame first = copy_picture(picture, memory);
  EXPECT_EQ(sample(first, 0, 63, 47), 77);
  EXPECT_EQ(sample(first, 1, 62, 23), 90);
  EXPECT_EQ(sample(first, 1, 63, 23), 200);
  const Frame second = copy_picture(picture, memory);
  EXPECT_NE(first.planes[0].data, second.planes[0].data);
  first = {};
  const auto* held = second.planes[0].data;
  EXPECT_NE(copy_picture(picture, memory).planes[0].data, held);
}

TEST(CopyPicture, DevicePicturesAreRefused) {
  Frame picture = plain_picture(8, 8, PixelFormat::kNv12, 0);
  picture.device = Device::cuda(0);
  std::shared_ptr<std::vector<std::uint8_t>> memory;
  try {
    copy_picture(picture, memory);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_STREQ(error.what(),
                 "a picture in format nv12 on cuda:0 cannot be drawn or saved: it must be in host "
                 "memory, in 8-bit samples");
  }
}

TEST(Palette, NeighboursAreFarApartAndNothingRepeats) {
  std::set<std::tuple<int, int, int>> seen;
  for (int i = 0; i < 60; ++i) {
    const Color a = palette_color(i), b = palette_color(i + 1);
    const int distance = std::abs(a.r - b.r) + std::abs(a.g - b.g) + std::abs(a.b - b.b);
    EXPECT_GT(distance, 120) << i;
    EXPECT_TRUE(seen.emplace(a.r, a.g, a.b).second) << i;
    EXPECT_EQ(a, palette_color(i));
  }
  EXPECT_EQ(text_color_on({250, 250, 100}), kBlack);
  EXPECT_EQ(text_color_on({20, 20, 120}), kWhite);
}

}  // namespace
}  // namespace peregrine::output
