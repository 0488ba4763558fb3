// SPDX-License-Identifier: Apache-2.0
// Depth on its way out: brought to the picture's aspect, as 16-bit PNG, in JSON lines, as colours.
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "output/depth_picture.h"
#include "output/overlay.h"
#include "output/png.h"
#include "output/sink.h"
#include "peregrine/error.h"
#include "test_picture.h"
#include "video/clips.h"

namespace peregrine::output {
namespace {

using peregrine::testing::contents;
using peregrine::testing::TemporaryFolder;

DepthMap sized(int width, int height) {
  DepthMap map;
  map.width = width;
  map.height = height;
  return map;
}

DepthMap random_map(int width, int height) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> value(0.5f, 7);
  DepthMap map = sized(width, height);
  for (int i = 0; i < width * height; ++i) map.values.push_back(value(random));
  map.min = *std::min_element(map.values.begin(), map.values.end());
  map.max = *std::max_element(map.values.begin(), map.values.end());
  return map;
}

// Bilinear, cell centres at half-integers, in double from the definition.
double looked_up(const DepthMap& map, int x, int y, int width, int height) {
  const auto at = [](int i, int cells, int pixels) {
    return std::clamp((i + 0.5) * cells / pixels - 0.5, 0.0, cells - 1.0);
  };
  const double u = at(x, map.width, width), v = at(y, map.height, height);
  const auto cell = [&](double column, double row) {
    const auto index = static_cast<std::size_t>(std::min<double>(row, map.height - 1) * map.width +
                                                std::min<double>(column, map.width - 1));
    return static_cast<double>(map.values[index]);
  };
  const double x0 = std::floor(u), y0 = std::floor(v), wx = u - x0, wy = v - y0;
  const double value = (cell(x0, y0) * (1 - wx) + cell(x0 + 1, y0) * wx) * (1 - wy) +
                       (cell(x0, y0 + 1) * (1 - wx) + cell(x0 + 1, y0 + 1) * wx) * wy;
  return (value - map.min) / (map.max - map.min);
}

TEST(DepthRows, AgreeWithTheDefinition) {
  for (const auto& [width, height] : {std::pair{40, 13}, {9, 7}, {5, 3}, {1, 1}}) {
    const DepthMap map = random_map(9, 7);
    DepthRows rows(map, width, height);
    for (int y = height; y-- > 0;) {
      const auto row = rows.row(y);
      ASSERT_EQ(std::ssize(row), width);
      for (int x = 0; x < width; ++x) {
        EXPECT_NEAR(row[static_cast<std::size_t>(x)], looked_up(map, x, y, width, height), 1e-6);
      }
    }
  }
}

TEST(DepthPictureSize, HasTheSourcesAspectAndLosesNothing) {
  const DepthMap map = sized(518, 518);
  EXPECT_EQ(depth_picture_size(map, 1920, 1080), std::pair(921, 518));
  EXPECT_EQ(depth_picture_size(map, 1080, 1920), std::pair(518, 921));
  EXPECT_EQ(depth_picture_size(map, 100, 100), std::pair(518, 518));
  const DepthMap wide = sized(40, 10);
  EXPECT_EQ(depth_picture_size(wide, 100, 100), std::pair(40, 40));
}

std::uint32_t word_at(const std::string& bytes, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < 4; ++i) word = word << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return word;
}

/// A 16-bit grey PNG of one IDAT whose rows are all filtered by "Sub", read chunk by chunk.
std::vector<int> read_png16(const std::string& path, int& width, int& height) {
  const std::string file = contents(path);
  EXPECT_EQ(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  std::string header, data;
  std::vector<std::string> types;
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::uint32_t length = word_at(file, at);
    types.push_back(file.substr(at + 4, 4));
    const std::string content = file.substr(at + 8, length);
    const std::string checked = types.back() + content;
    EXPECT_EQ(word_at(file, at + 8 + length),
              crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                    static_cast<uInt>(checked.size())));
    if (types.back() == "IHDR") header = content;
    if (types.back() == "IDAT") data = content;
    at += 12 + length;
  }
  EXPECT_EQ(types, (std::vector<std::string>{"IHDR", "IDAT", "IEND"}));
  EXPECT_EQ(header.substr(8), std::string("\x10\0\0\0\0", 5)) << "16 bits, grey, not interlaced";
  width = static_cast<int>(word_at(header, 0));
  height = static_cast<int>(word_at(header, 4));
  const std::size_t row = 2 * static_cast<std::size_t>(width) + 1;
  std::vector<Bytef> raw(row * static_cast<std::size_t>(height));
  uLongf size = raw.size();
  EXPECT_EQ(uncompress(raw.data(), &size, reinterpret_cast<const Bytef*>(data.data()), data.size()),
            Z_OK);
  EXPECT_EQ(size, raw.size());
  std::vector<int> levels;
  for (std::size_t start = 0; start < raw.size(); start += row) {
    EXPECT_EQ(raw[start], 1);
    Bytef high = 0, low = 0;
    for (std::size_t i = 1; i < row; i += 2) {
      high = static_cast<Bytef>(high + raw[start + i]);
      low = static_cast<Bytef>(low + raw[start + i + 1]);
      levels.push_back(high << 8 | low);
    }
  }
  return levels;
}

FrameResult depth_result(DepthMap map) {
  FrameResult result;
  result.frame = {.stream = 2, .index = 1234567, .pts = 0, .width = 90, .height = 30};
  result.depth = std::move(map);
  return result;
}

TEST(DepthSink, WritesSixteenBitsOfThePicturesAspect) {
  const TemporaryFolder folder;
  const std::string depth = folder / "new/depth";
  const auto sink = make_depth_sink(depth);
  EXPECT_TRUE(sink->paths().empty());
  sink->open_stream({.stream = 2, .source = "street.mp4"});
  const DepthMap map = random_map(9, 7);
  sink->write(depth_result(map), {});
  sink->write(FrameResult{}, {});  // a frame without depth has no file
  sink->finish();
  EXPECT_EQ(sink->paths(), std::vector<std::string>{depth});
  EXPECT_EQ(depth_file(depth, 2, 1234567), depth + "/2-1234567.png");
  EXPECT_EQ(depth_file("d/", 0, 12), "d/0-000012.png");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(depth)) {
    files += entry.is_regular_file();
  }
  EXPECT_EQ(files, 1) << "nothing else is left";

  int width = 0, height = 0;
  const std::vector<int> levels = read_png16(depth_file(depth, 2, 1234567), width, height);
  ASSERT_EQ(std::pair(width, height), std::pair(21, 7));  // 3 : 1, no row lost
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double wanted = 65535 * looked_up(map, x, y, width, height);
      EXPECT_NEAR(levels[static_cast<std::size_t>(y * width + x)], wanted, 0.6);
    }
  }
}

TEST(DepthSink, APlaceThatCannotBeWrittenShowsAtOnce) {
  for (const char* place : {"/proc/none/depth", "/proc"}) {
    try {
      make_depth_sink(place);
      FAIL() << place;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutput);
      EXPECT_NE(std::string(error.what()).find(place), std::string::npos) << error.what();
    }
  }
}

TEST(Png16, AnotherNumberOfLevelsIsRefused) {
  const std::vector<std::uint16_t> levels(6);
  for (const auto& [width, height] : {std::pair{2, 2}, {0, 0}, {-2, -3}}) {
    EXPECT_THROW(write_png16("/tmp/never-written.png", width, height, levels), Error);
  }
}

TEST(JsonlSink, DepthIsRangeMedianAndFile) {
  const TemporaryFolder folder;
  FrameResult result = depth_result(
      {.width = 3, .height = 1, .values = {1.25f, 9.5f, 3}, .min = 1.25f, .max = 9.5f});
  for (const std::string& depth : {std::string(), std::string("maps")}) {
    const auto sink = make_jsonl_sink(folder / "a.jsonl", {}, depth);
    sink->open_stream({.stream = 2, .source = "street.mp4"});
    sink->write(result, {});
    sink->finish();
    const std::string named = depth.empty() ? "" : R"(,"file":"maps/2-1234567.png")";
    EXPECT_EQ(contents(folder / "a.jsonl"),
              R"({"schema":1,"source":"street.mp4","stream":2,"frame":1234567,"pts":0,"width":90,)"
              R"("height":30,"depth":{"min":1.25,"max":9.5,"median":3)" +
                  named + "}}\n");
  }
}

TEST(HeatScale, LightnessRisesEvenlyAndColoursFlow) {
  const auto luma = [](Color color) {
    return 0.2126 * color.r + 0.7152 * color.g + 0.0722 * color.b;
  };
  const ColorScale& scale = heat_scale();
  for (std::size_t i = 1; i < scale.size(); ++i) {
    EXPECT_GE(luma(scale[i]), luma(scale[i - 1])) << i;
    EXPECT_LE(std::abs(scale[i].r - scale[i - 1].r), 3) << i;
    EXPECT_LE(std::abs(scale[i].g - scale[i - 1].g), 3) << i;
    EXPECT_LE(std::abs(scale[i].b - scale[i - 1].b), 3) << i;
  }
  EXPECT_LT(luma(scale.front()), 30);
  EXPECT_GT(luma(scale.back()), 200);
}

class DepthOverlay : public ::testing::TestWithParam<PixelFormat> {};
INSTANTIATE_TEST_SUITE_P(All, DepthOverlay,
                         ::testing::Values(PixelFormat::kYuv420p, PixelFormat::kYuv444p,
                                           PixelFormat::kNv12, PixelFormat::kRgb24,
                                           PixelFormat::kGray8));

// A ramp from left to right: each column is 0.3 of the picture and 0.7 of its level's colour, as
// `paint` would blend it. Odd sides, so that halved chroma ends in the middle of a sample.
TEST_P(DepthOverlay, ColoursOfTheScaleLieOverThePicture) {
  constexpr int kWidth = 255, kHeight = 11;
  DepthMap map = sized(kWidth, 1);
  map.max = 254;
  for (int x = 0; x < kWidth; ++x) map.values.push_back(static_cast<float>(x));
  const Frame picture = plain_picture(kWidth, kHeight, GetParam(), 110);
  FrameResult result;
  result.depth = map;
  const Frame drawn = render_overlay(picture, result, {});
  for (const int x : {0, 40, 128, 253}) {
    const double value = 255 * looked_up(map, x, 0, kWidth, kHeight);
    Frame expected = plain_picture(kWidth, kHeight, GetParam(), 110);
    Canvas canvas(expected);
    Coverage all;
    all.reset(canvas.bounds(), canvas.bounds());
    all.add_rect(canvas.bounds());
    canvas.paint(all, heat_scale()[static_cast<std::size_t>(value + 0.5)], 0.7f);
    const int bytes = GetParam() == PixelFormat::kRgb24 ? 3 : 1;
    for (int i = 0; i < bytes; ++i) {
      EXPECT_NEAR(sample(drawn, 0, bytes * x + i, 10), sample(expected, 0, bytes * x + i, 10), 1);
    }
    if (plane_count(GetParam()) > 1) {
      const bool halved = GetParam() != PixelFormat::kYuv444p;
      const int column = !halved ? x : GetParam() == PixelFormat::kNv12 ? x / 2 * 2 : x / 2;
      const int row = halved ? 4 : 10;
      EXPECT_NEAR(sample(drawn, 1, column, row), sample(expected, 1, column, row), 2) << x;
      // `paint` would leave half of the sample at the odd edge.
      EXPECT_EQ(sample(drawn, 1, column, halved ? 5 : 10), sample(drawn, 1, column, row));
    }
  }
  EXPECT_EQ(sample(picture, 0, 99, 5), 110) << "the original is not touched";
}

}  // namespace
}  // namespace peregrine::output
