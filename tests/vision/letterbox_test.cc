// SPDX-License-Identifier: Apache-2.0
#include "vision/letterbox.h"

#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "testing/expect_error.h"
#include "vision/pictures.h"

namespace peregrine::vision {
namespace {

constexpr PixelFormat kFormats[] = {PixelFormat::kYuv420p, PixelFormat::kNv12,
                                    PixelFormat::kYuv444p, PixelFormat::kRgb24,
                                    PixelFormat::kGray8};

ResampleJob job_of(const Frame& frame, int resized_width, int resized_height, int left, int top,
                   int width, int height) {
  ResampleJob job;
  job.region_width = frame.info.width;
  job.region_height = frame.info.height;
  job.resized_width = resized_width;
  job.resized_height = resized_height;
  job.left = left;
  job.top = top;
  job.width = width;
  job.height = height;
  for (int c = 0; c < 3; ++c) {
    job.scale[c] = 1.0f / 255;
    job.padding[c] = 114.0f / 255;
  }
  return job;
}

std::vector<float> run(const Frame& frame, const ResampleJob& job, Simd simd) {
  std::vector<float> out(3 * static_cast<std::size_t>(job.width * job.height), -1.0f);
  resample(frame, job, out.data(), simd);
  return out;
}

double worst(const std::vector<float>& got, const std::vector<double>& wanted) {
  double error = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    error = std::max(error, std::abs(got[i] - wanted[i]));
  return error;
}

struct ColorCase {
  PixelFormat format;
  ColorMatrix matrix;
  ColorRange range;
};

class ResampleColors : public ::testing::TestWithParam<ColorCase> {};

// Noise is the hardest picture: most of its Y'CbCr lies outside RGB, so clamping before the resize
// and after it differ by whole levels.
TEST_P(ResampleColors, AgreesWithDoubleReference) {
  Frame frame = make_picture(GetParam().format, 93, 71, 7);
  frame.matrix = GetParam().matrix;
  frame.range = GetParam().range;
  for (const ResampleJob& job : {job_of(frame, 64, 49, 0, 7, 64, 64),      // down
                                 job_of(frame, 128, 98, 3, 15, 133, 128),  // up
                                 job_of(frame, 31, 24, 1, 4, 32, 32),      // down by 3
                                 job_of(frame, 93, 71, 0, 0, 93, 71)}) {   // as it is
    const std::vector<double> wanted = resample_reference(frame, job);
    EXPECT_LT(worst(run(frame, job, Simd::kPortable), wanted), 0.15 / 255);
    EXPECT_EQ(run(frame, job, best_simd()), run(frame, job, Simd::kPortable));
  }
}

std::vector<ColorCase> color_cases() {
  std::vector<ColorCase> cases;
  for (const PixelFormat format : kFormats) {
    for (const ColorMatrix matrix :
         {ColorMatrix::kBt601, ColorMatrix::kBt709, ColorMatrix::kBt2020}) {
      for (const ColorRange range : {ColorRange::kLimited, ColorRange::kFull}) {
        cases.push_back({format, matrix, range});
      }
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, ResampleColors, ::testing::ValuesIn(color_cases()));

// Pictures and crops a whole number of times as wide as their resized selves take a way of their
// own: from even and odd columns, for an even and an odd number of pixels, also where the output
// cuts the picture.
TEST_P(ResampleColors, AgreesAtWholeSteps) {
  for (const int width : {228, 229}) {
    Frame frame = make_picture(GetParam().format, width, 37, 11);
    frame.matrix = GetParam().matrix;
    frame.range = GetParam().range;
    for (const int step : {1, 2, 3, 4, 5, 6, 7}) {
      for (const int pixels : {1, 2, 31, 32}) {
        for (const int from : {0, 1, 2, width - step * pixels}) {
          if (from + step * pixels > width) continue;
          for (const int left : {0, 3, -1}) {
            ResampleJob job = job_of(frame, pixels, 12, left, 2, pixels + 2, 15);
            job.region_x = from;
            job.region_width = step * pixels;
            const std::vector<float> got = run(frame, job, Simd::kPortable);
            EXPECT_LT(worst(got, resample_reference(frame, job)), 0.15 / 255)
                << step << " x " << pixels << " from " << from << " to " << left << " of " << width;
            EXPECT_EQ(run(frame, job, best_simd()), got);
          }
        }
      }
    }
  }
}

TEST(Resample, EveryOddSizeAndRegion) {
  for (const PixelFormat format : kFormats) {
    for (const int width : {1, 2, 3, 5, 18}) {
      for (const int height : {1, 2, 3, 7}) {
        const Frame frame = make_picture(format, width, height, 3);
        ResampleJob job = job_of(frame, 9, 8, 0, 0, 9, 8);
        EXPECT_LT(worst(run(frame, job, best_simd()), resample_reference(frame, job)), 0.15 / 255)
            << to_string(format) << " " << width << "x" << height;
        job.region_x = width / 2;
        job.region_y = height / 3;
        job.region_width = width - job.region_x;
        job.region_height = height - job.region_y;
        EXPECT_LT(worst(run(frame, job, best_simd()), resample_reference(frame, job)), 0.15 / 255)
            << to_string(format) << " region of " << width << "x" << height;
      }
    }
  }
}

// OpenCV resizes 8-bit RGB and rounds the result to 8 bits: half a level at each of the two steps.
TEST(Resample, StaysCloseToEightBitResize) {
  const Frame frame = make_picture(PixelFormat::kYuv420p, 192, 108, 0, true);
  Frame eight_bit = make_picture(PixelFormat::kRgb24, 192, 108, 0);
  for (int y = 0; y < 108; ++y) {
    for (int x = 0; x < 192; ++x) {
      const auto rgb = rgb_at(frame, x, y);
      for (int c = 0; c < 3; ++c) {
        const_cast<std::uint8_t*>(
            eight_bit.planes[0].data)[eight_bit.planes[0].stride * y + 3 * x + c] =
            static_cast<std::uint8_t>(std::lround(rgb[static_cast<std::size_t>(c)]));
      }
    }
  }
  const ResampleJob job = job_of(frame, 64, 36, 0, 14, 64, 64);
  const std::vector<float> got = run(frame, job, best_simd());
  const std::vector<double> rounded = resample_reference(eight_bit, job);
  double sum = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    sum += std::abs(got[i] - std::round(rounded[i] * 255) / 255);
  }
  EXPECT_LT(sum / static_cast<double>(got.size()), 0.5 / 255);
}

TEST(Resample, KnownPatches) {
  // SMPTE 75% bars as 8-bit limited BT.601 and BT.709 code values.
  struct Patch {
    ColorMatrix matrix;
    int y, cb, cr;
    int red, green, blue;
  };
  const Patch patches[] = {
      {ColorMatrix::kBt601, 180, 128, 128, 191, 191, 191},
      {ColorMatrix::kBt601, 65, 100, 212, 191, 0, 0},
      {ColorMatrix::kBt601, 112, 72, 58, 0, 191, 0},
      {ColorMatrix::kBt601, 35, 212, 114, 0, 0, 191},
      {ColorMatrix::kBt709, 51, 109, 212, 191, 0, 0},
      {ColorMatrix::kBt709, 133, 63, 52, 0, 191, 0},
      {ColorMatrix::kBt709, 28, 212, 120, 0, 0, 191},
      {ColorMatrix::kBt709, 16, 128, 128, 0, 0, 0},
      {ColorMatrix::kBt709, 235, 128, 128, 255, 255, 255},
  };
  for (const Patch& patch : patches) {
    Frame frame = make_picture(PixelFormat::kYuv444p, 4, 4, 1);
    const int values[] = {patch.y, patch.cb, patch.cr};
    for (std::size_t p = 0; p < 3; ++p) {
      std::fill_n(const_cast<std::uint8_t*>(frame.planes[p].data), frame.planes[p].stride * 4,
                  static_cast<std::uint8_t>(values[p]));
    }
    frame.matrix = patch.matrix;
    const std::vector<float> got = run(frame, job_of(frame, 2, 2, 0, 0, 2, 2), best_simd());
    EXPECT_NEAR(got[0] * 255, patch.red, 1.5);
    EXPECT_NEAR(got[4] * 255, patch.green, 1.5);
    EXPECT_NEAR(got[8] * 255, patch.blue, 1.5);
  }
}

TEST(Resample, RefusesWhatItCannotRead) {
  std::vector<float> out(3 * 4);
  Frame frame = make_picture(PixelFormat::kGray8, 4, 4, 1);
  InputSpec input;
  input.width = input.height = 2;
  frame.device = Device::cuda(0);
  peregrine::testing::expect_error(ErrorCode::kInvalidArgument, {"gray8 on cuda:0"},
                                   [&] { preprocess(frame, input, out.data()); });
  frame.device = Device::cpu();
  frame.planes[0].data = nullptr;
  peregrine::testing::expect_error(ErrorCode::kInvalidArgument, {"is empty"},
                                   [&] { preprocess(frame, input, out.data()); });
  frame.info.width = 0;
  peregrine::testing::expect_error(ErrorCode::kInvalidArgument, {"picture of 0x4"},
                                   [&] { preprocess(frame, input, out.data()); });
}

InputSpec input_of(int width, int height, InputSpec::Fit fit = InputSpec::Fit::kLetterbox) {
  InputSpec input;
  input.width = width;
  input.height = height;
  input.fit = fit;
  return input;
}

TEST(Letterbox, PlacesAsInTraining) {
  struct Case {
    int width, height, input_width, input_height;
    float resized_width, resized_height, left, top;
  };
  // Worked out with Python: round(w * r), round(h * r), round((W - w) / 2 - 0.1).
  const Case cases[] = {
      {1920, 1080, 640, 640, 640, 360, 0, 140}, {768, 432, 640, 640, 640, 360, 0, 140},
      {1080, 1920, 640, 640, 360, 640, 140, 0}, {640, 427, 640, 640, 640, 427, 0, 106},
      {500, 375, 640, 640, 640, 480, 0, 80},    {333, 500, 640, 640, 426, 640, 107, 0},
      {768, 432, 320, 320, 320, 180, 0, 70},    {1281, 721, 640, 384, 640, 360, 0, 12},
      {8000, 2, 640, 640, 640, 1, 0, 319},
  };
  for (const Case& each : cases) {
    const Letterbox got =
        place(each.width, each.height, input_of(each.input_width, each.input_height));
    EXPECT_FLOAT_EQ(got.scale_x * static_cast<float>(each.width), each.resized_width);
    EXPECT_FLOAT_EQ(got.scale_y * static_cast<float>(each.height), each.resized_height);
    EXPECT_EQ(got.pad_x, each.left) << each.width << "x" << each.height;
    EXPECT_EQ(got.pad_y, each.top) << each.width << "x" << each.height;
  }
}

TEST(Letterbox, OtherFits) {
  const Letterbox stretched = place(100, 50, input_of(128, 256, InputSpec::Fit::kStretch));
  EXPECT_FLOAT_EQ(stretched.scale_x, 1.28f);
  EXPECT_FLOAT_EQ(stretched.scale_y, 5.12f);
  // torchvision: Resize(224) of 640x480 is 298x224, CenterCrop takes columns 37 to 261.
  const Letterbox cropped = place(640, 480, input_of(224, 224, InputSpec::Fit::kCenterCrop));
  EXPECT_FLOAT_EQ(cropped.scale_x * 640, 298);
  EXPECT_EQ(cropped.pad_x, -37);
  EXPECT_EQ(cropped.pad_y, 0);
  InputSpec imagenet = input_of(224, 224, InputSpec::Fit::kCenterCrop);
  imagenet.crop = 0.875f;  // Resize(256): 341x256
  const Letterbox smaller = place(640, 480, imagenet);
  EXPECT_FLOAT_EQ(smaller.scale_x * 640, 341);
  EXPECT_EQ(smaller.pad_x, -58);
  EXPECT_EQ(smaller.pad_y, -16);
}

// The drift that a wrong pixel centre or a rounded scale would cause. In a picture whose levels
// count its columns (or rows), each input pixel tells where in the source it came from.
TEST(Letterbox, InputPixelsComeBackWhereTheyWere) {
  for (const auto& [width, height] : {std::pair{251, 141}, {97, 61}, {131, 200}, {240, 33}}) {
    for (const bool across : {true, false}) {
      Frame frame = make_picture(PixelFormat::kGray8, width, height, 1);
      frame.range = ColorRange::kFull;
      for (int y = 0; y < height; ++y) {
        auto* row = const_cast<std::uint8_t*>(frame.planes[0].data + frame.planes[0].stride * y);
        for (int x = 0; x < width; ++x) row[x] = static_cast<std::uint8_t>(across ? x : y);
      }
      const InputSpec input = input_of(160, 96);
      std::vector<float> out(3 * 160 * 96);
      const Letterbox letterbox = preprocess(frame, input, out.data());
      int inside = 0;
      for (int v = 0; v < 96; ++v) {
        for (int u = 0; u < 160; ++u) {
          float x = static_cast<float>(u) + 0.5f, y = static_cast<float>(v) + 0.5f;
          letterbox.point_to_source(x, y);
          const float place = across ? x : y;
          const auto size = static_cast<float>(across ? width : height);
          const bool in_picture =
              x > 0 && y > 0 && x < static_cast<float>(width) && y < static_cast<float>(height);
          if (!in_picture || place < 0.5f || place > size - 0.5f) continue;
          ++inside;
          ASSERT_NEAR(out[static_cast<std::size_t>(v * 160 + u)] * 255 + 0.5f, place, 0.1f);
        }
      }
      EXPECT_GT(inside, 2000);
    }
  }
}

TEST(Letterbox, BoxesAreClippedToTheSource) {
  const Letterbox letterbox = place(1280, 720, input_of(640, 640));
  EXPECT_EQ(letterbox.to_source({-5, 100, 700, 700}), (Box{0, 0, 1280, 720}));
  EXPECT_EQ(letterbox.to_source({10, 150, 20, 180}), (Box{20, 20, 40, 80}));
}

TEST(Preprocess, NormalisesAndPads) {
  Frame frame = make_picture(PixelFormat::kRgb24, 4, 2, 1);
  std::fill_n(const_cast<std::uint8_t*>(frame.planes[0].data), frame.planes[0].stride * 2, 51);
  InputSpec input = input_of(4, 4);
  const float mean[] = {0.5f, 0.25f, 0.1f}, deviation[] = {0.5f, 0.25f, 0.2f};
  std::copy_n(mean, 3, input.mean);
  std::copy_n(deviation, 3, input.std);
  std::vector<float> out(3 * 16);
  preprocess(frame, input, out.data());
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(out[c * 16], (114.0 / 255 - mean[c]) / deviation[c], 1e-6);
    EXPECT_NEAR(out[c * 16 + 4], (0.2 - mean[c]) / deviation[c], 1e-6);
    EXPECT_NEAR(out[c * 16 + 15], (114.0 / 255 - mean[c]) / deviation[c], 1e-6);
  }
}

TEST(Preprocess, CutsCrops) {
  const Frame frame = make_picture(PixelFormat::kYuv420p, 60, 40, 5);
  const InputSpec input = input_of(16, 32, InputSpec::Fit::kStretch);
  struct Case {
    Box crop;
    int x, y, width, height;
  };
  for (const Case& each :
       {Case{{10.7f, 5.2f, 33.9f, 38.0f}, 10, 5, 23, 33}, Case{{-9, -9, 1000, 1000}, 0, 0, 60, 40},
        Case{{59.9f, 39.9f, 80, 80}, 59, 39, 1, 1},
        Case{{70, 70, 80, 80}, 59, 39, 1, 1},  // outside: the nearest pixel
        Case{{20, 20, 20, 20}, 20, 20, 1, 1}}) {
    std::vector<float> out(3 * 16 * 32);
    preprocess_crop(frame, each.crop, input, out.data());
    ResampleJob job = job_of(frame, 16, 32, 0, 0, 16, 32);
    job.region_x = each.x;
    job.region_y = each.y;
    job.region_width = each.width;
    job.region_height = each.height;
    EXPECT_LT(worst(out, resample_reference(frame, job)), 0.15 / 255);
  }
}

}  // namespace
}  // namespace peregrine::vision
