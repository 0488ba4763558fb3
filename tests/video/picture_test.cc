// SPDX-License-Identifier: Apache-2.0
// What arrives in a Frame's planes: orientation, colour description, pixel formats.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "video/clips.h"
#include "video/orientation.h"

namespace peregrine::testing {
namespace {

using Rgb = std::array<int, 3>;
using Patches = std::array<Rgb, 4>;  // top left, top right, bottom left, bottom right

constexpr Rgb kRed{254, 0, 0}, kGreen{0, 255, 0}, kBlue{0, 0, 254}, kWhite{255, 255, 255};

void expect_patches(const Frame& frame, const Patches& expected, int tolerance) {
  const int x[] = {frame.info.width / 4, frame.info.width * 3 / 4};
  const int y[] = {frame.info.height / 4, frame.info.height * 3 / 4};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto got = pixel(frame, x[i % 2], y[i / 2]);
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(got[c], expected[i][c], tolerance) << "patch " << i << " component " << c;
    }
  }
}

/// A 48x32 still of four patches: red, green / blue, white.
std::string patches(const std::string& filters = "") {
  return "-f lavfi -i \"color=red:s=24x16:r=5:d=1,format=rgb24[a];color=0x00ff00:s=24x16:r=5:d=1,"
         "format=rgb24[b];color=blue:s=24x16:r=5:d=1,format=rgb24[c];color=white:s=24x16:r=5:d=1,"
         "format=rgb24[d];[a][b][c][d]xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0" +
         filters + "\" ";
}

struct Turn {
  const char* label;
  std::array<int, 4> matrix;  ///< a b c d of the display matrix, as in orientation.h
  int width, height;
  Patches expected;
};
void PrintTo(const Turn& turn, std::ostream* out) { *out << turn.label; }

/// Writes the matrix into the track header of an MP4 file.
void set_display_matrix(const std::string& path, const std::array<int, 4>& matrix) {
  constexpr std::size_t kMatrixInHeader = 44;  // from the box's type, ISO/IEC 14496-12 version 0
  std::string bytes = contents(path);
  const std::size_t header = bytes.find("tkhd");
  ASSERT_NE(header, std::string::npos);
  const int places[] = {0, 1, 3, 4};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto value = static_cast<std::uint32_t>(matrix[i]) << 16;
    for (std::size_t byte = 0; byte < 4; ++byte) {
      bytes[header + kMatrixInHeader + 4 * static_cast<std::size_t>(places[i]) + byte] =
          static_cast<char>(value >> (24 - 8 * byte));
    }
  }
  write_file(path, bytes);
}

class Rotation : public ::testing::TestWithParam<Turn> {};

TEST_P(Rotation, IsAppliedToVideo) {
  PEREGRINE_NEEDS_FFMPEG();
  const Turn& turn = GetParam();
  const TemporaryFolder folder;
  ffmpeg(patches() + "-c:v libx264rgb -qp 0 '" + folder / "turned.mp4" + "'");
  set_display_matrix(folder / "turned.mp4", turn.matrix);
  const auto source = open(folder / "turned.mp4");
  EXPECT_EQ(source->info().width, turn.width);
  EXPECT_EQ(source->info().height, turn.height);
  const Reading reading = read_all(*source);
  ASSERT_EQ(reading.frames.size(), 5U);
  const Frame& frame = reading.frames[2];
  EXPECT_EQ(frame.format, PixelFormat::kRgb24);
  EXPECT_EQ(frame.info.width, turn.width);
  EXPECT_EQ(frame.info.height, turn.height);
  expect_patches(frame, turn.expected, 1);

  // The program turns pictures on its own account: it must agree in every pixel.
  const std::string raw = folder / "raw";
  ffmpeg("-i '" + folder / "turned.mp4" + "' -frames:v 1 -f rawvideo -pix_fmt rgb24 '" + raw + "'");
  const std::string bytes = contents(raw);
  ASSERT_EQ(bytes.size(), static_cast<std::size_t>(3 * turn.width * turn.height));
  for (int y = 0; y < turn.height; ++y) {
    for (int x = 0; x < turn.width; ++x) {
      const auto got = pixel(frame, x, y);
      const auto* want =
          reinterpret_cast<const unsigned char*>(bytes.data()) + 3 * (y * turn.width + x);
      ASSERT_EQ(got, (Rgb{want[0], want[1], want[2]})) << x << ", " << y;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Rotation,
    ::testing::Values(
        Turn{"mirrored", {-1, 0, 0, 1}, 48, 32, {kGreen, kRed, kWhite, kBlue}},
        Turn{"upright", {1, 0, 0, 1}, 48, 32, {kRed, kGreen, kBlue, kWhite}},
        Turn{"clockwise", {0, 1, -1, 0}, 32, 48, {kBlue, kRed, kWhite, kGreen}},
        Turn{"by_180", {-1, 0, 0, -1}, 48, 32, {kWhite, kBlue, kGreen, kRed}},
        Turn{"counter_clockwise", {0, -1, 1, 0}, 32, 48, {kGreen, kWhite, kRed, kBlue}}),
    [](const auto& each) { return std::string(each.param.label); });

TEST(Orientation, MovesElementsOfEverySizeLikeTheMatrixSays) {
  // All eight, 5x3 elements, against the definition: shown = (a x + c y, b x + d y), moved to 0.
  constexpr int kWidth = 5, kHeight = 3;
  const std::array<std::array<int, 4>, 8> matrices = {{{1, 0, 0, 1},
                                                       {-1, 0, 0, 1},
                                                       {1, 0, 0, -1},
                                                       {-1, 0, 0, -1},
                                                       {0, 1, 1, 0},
                                                       {0, 1, -1, 0},
                                                       {0, -1, 1, 0},
                                                       {0, -1, -1, 0}}};
  for (const auto& [a, b, c, d] : matrices) {
    const std::int32_t matrix[9] = {a * 65536, b * 65536, 0, c * 65536, d * 65536,
                                    0,         0,         0, 1 << 30};
    const video::Orientation turn = video::orientation_of(matrix);
    for (const int bytes : {1, 2, 3}) {
      std::vector<std::uint8_t> source(kWidth * kHeight * 3), target(source.size());
      for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::uint8_t>(i + 1);
      const int out_width = b != 0 ? kHeight : kWidth;
      video::orient_plane(turn, {source.data(), kWidth * bytes}, kWidth, kHeight, bytes,
                          target.data(), out_width * bytes);
      for (int y = 0; y < kHeight; ++y) {
        for (int x = 0; x < kWidth; ++x) {
          int shown_x = a * x + c * y, shown_y = b * x + d * y;
          if (a + c < 0) shown_x += out_width - 1;
          if (b + d < 0) shown_y += (b != 0 ? kWidth : kHeight) - 1;
          for (int byte = 0; byte < bytes; ++byte) {
            ASSERT_EQ(
                target[static_cast<std::size_t>((shown_y * out_width + shown_x) * bytes + byte)],
                source[static_cast<std::size_t>((y * kWidth + x) * bytes + byte)]);
          }
        }
      }
    }
  }
}

struct Color {
  const char* label;
  const char* space;  ///< ffmpeg's name
  const char* range;
  ColorMatrix matrix;
  ColorRange expected_range;
  double kr, kb;  ///< luma weights of the recommendation
};
void PrintTo(const Color& color, std::ostream* out) { *out << color.label; }

/// Y'CbCr bytes of an R'G'B' colour, from the definition in BT.601/709/2020.
Rgb to_ycbcr(const Color& color, Rgb rgb) {
  const double r = rgb[0] / 255.0, g = rgb[1] / 255.0, b = rgb[2] / 255.0;
  const double y = color.kr * r + (1 - color.kr - color.kb) * g + color.kb * b;
  const double cb = (b - y) / (2 * (1 - color.kb)), cr = (r - y) / (2 * (1 - color.kr));
  const bool full = color.expected_range == ColorRange::kFull;
  const double luma = full ? 255 * y : 16 + 219 * y, scale = full ? 255 : 224;
  const auto byte = [](double value) { return std::clamp(static_cast<int>(value + 0.5), 0, 255); };
  return {byte(luma), byte(128 + scale * cb), byte(128 + scale * cr)};
}

class ColorDescription : public ::testing::TestWithParam<Color> {};

TEST_P(ColorDescription, IsTheStreamsAndValuesSurvive) {
  PEREGRINE_NEEDS_FFMPEG();
  const Color& color = GetParam();
  for (const char* layout : {"yuv420p", "yuv444p", "yuv422p", "yuv420p10le", "nv12"}) {
    const TemporaryFolder folder;
    ffmpeg(
        patches(fmt::format(",scale=out_color_matrix={}:out_range={}:flags=accurate_rnd,format={}",
                            color.space, color.range, layout)) +
        fmt::format("-c:v libx264 -qp 0 -colorspace {} -color_range {} '{}'",
                    std::string(color.space) == "bt2020" ? "bt2020nc" : color.space, color.range,
                    folder / "a.mp4"));
    const Reading reading = read_all(folder / "a.mp4");
    ASSERT_EQ(reading.frames.size(), 5U) << layout;
    const Frame& frame = reading.frames[0];
    EXPECT_EQ(frame.matrix, color.matrix) << layout;
    EXPECT_EQ(frame.range, color.expected_range) << layout;
    const std::string name = layout;
    EXPECT_EQ(frame.format, name == "yuv444p" ? PixelFormat::kYuv444p : PixelFormat::kYuv420p);
    expect_patches(frame,
                   {to_ycbcr(color, kRed), to_ycbcr(color, kGreen), to_ycbcr(color, kBlue),
                    to_ycbcr(color, kWhite)},
                   2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ColorDescription,
    ::testing::Values(
        Color{"bt601_limited", "smpte170m", "tv", ColorMatrix::kBt601, ColorRange::kLimited, .299,
              .114},
        Color{"bt601_full", "smpte170m", "pc", ColorMatrix::kBt601, ColorRange::kFull, .299, .114},
        Color{"bt709_limited", "bt709", "tv", ColorMatrix::kBt709, ColorRange::kLimited, .2126,
              .0722},
        Color{"bt709_full", "bt709", "pc", ColorMatrix::kBt709, ColorRange::kFull, .2126, .0722},
        Color{"bt2020_limited", "bt2020", "tv", ColorMatrix::kBt2020, ColorRange::kLimited, .2627,
              .0593},
        Color{"bt2020_full", "bt2020", "pc", ColorMatrix::kBt2020, ColorRange::kFull, .2627,
              .0593}),
    [](const auto& each) { return std::string(each.param.label); });

TEST(ColorDescriptionDefaults, FollowTheHeight) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const auto matrix_at = [&](const char* size) {
    ffmpeg(fmt::format("-f lavfi -i color=gray:s={}:r=1:d=1 -pix_fmt yuv420p -c:v mpeg4 '{}'", size,
                       folder / "a.avi"));
    const Frame frame = read_all(folder / "a.avi").frames.at(0);
    EXPECT_EQ(frame.range, ColorRange::kLimited);
    return frame.matrix;
  };
  EXPECT_EQ(matrix_at("720x576"), ColorMatrix::kBt601);
  EXPECT_EQ(matrix_at("720x578"), ColorMatrix::kBt709);
  EXPECT_EQ(matrix_at("1280x64"), ColorMatrix::kBt709);
}

struct Layout {
  const char* source;  ///< ffmpeg's pixel format, stored losslessly
  PixelFormat expected;
  bool full;
};
void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.source; }

class Layouts : public ::testing::TestWithParam<Layout> {};

TEST_P(Layouts, BecomeTheNearestOfOurs) {
  PEREGRINE_NEEDS_FFMPEG();
  const Layout& layout = GetParam();
  const TemporaryFolder folder;
  const std::string path = folder / "a.nut";
  ffmpeg(patches(fmt::format(",scale=out_color_matrix=smpte170m:flags=accurate_rnd,format={}",
                             layout.source)) +
         fmt::format("-c:v rawvideo -pix_fmt {} '{}'", layout.source, path));
  const Frame frame = read_all(path).frames.at(0);
  EXPECT_EQ(frame.format, layout.expected);
  EXPECT_EQ(frame.range, layout.full ? ColorRange::kFull : ColorRange::kLimited);
  const Color color{
      "",   "",  "", ColorMatrix::kBt601, layout.full ? ColorRange::kFull : ColorRange::kLimited,
      .299, .114};
  Patches expected{kRed, kGreen, kBlue, kWhite};
  for (Rgb& patch : expected) {
    if (layout.expected != PixelFormat::kRgb24) patch = to_ycbcr(color, patch);
    if (layout.expected == PixelFormat::kGray8) patch = {patch[0], patch[0], patch[0]};
  }
  expect_patches(frame, expected, 2);
}

INSTANTIATE_TEST_SUITE_P(All, Layouts,
                         ::testing::Values(Layout{"yuv420p", PixelFormat::kYuv420p, false},
                                           Layout{"nv12", PixelFormat::kNv12, false},
                                           Layout{"nv21", PixelFormat::kYuv420p, false},
                                           Layout{"yuv444p", PixelFormat::kYuv444p, false},
                                           Layout{"yuv422p", PixelFormat::kYuv420p, false},
                                           Layout{"yuyv422", PixelFormat::kYuv420p, false},
                                           Layout{"yuv411p", PixelFormat::kYuv420p, false},
                                           Layout{"yuva420p", PixelFormat::kYuv420p, false},
                                           Layout{"yuv444p12le", PixelFormat::kYuv444p, false},
                                           Layout{"gray", PixelFormat::kGray8, true},
                                           Layout{"gray16le", PixelFormat::kGray8, true},
                                           Layout{"rgb24", PixelFormat::kRgb24, true},
                                           Layout{"bgr24", PixelFormat::kRgb24, true},
                                           Layout{"rgba", PixelFormat::kRgb24, true},
                                           Layout{"bgra", PixelFormat::kRgb24, true},
                                           Layout{"gbrp", PixelFormat::kRgb24, true},
                                           Layout{"rgb48le", PixelFormat::kRgb24, true}),
                         [](const auto& each) { return std::string(each.param.source); });

}  // namespace
}  // namespace peregrine::testing
