// SPDX-License-Identifier: Apache-2.0
#include "vision/preprocess_cases.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "vision/pictures.h"

namespace peregrine::vision {
namespace {

constexpr PixelFormat kFormats[] = {PixelFormat::kYuv420p, PixelFormat::kYuv444p,
                                    PixelFormat::kNv12,    PixelFormat::kP010,
                                    PixelFormat::kRgb24,   PixelFormat::kGray8};
constexpr ColorMatrix kMatrices[] = {ColorMatrix::kBt601, ColorMatrix::kBt709,
                                     ColorMatrix::kBt2020};
constexpr ColorRange kRanges[] = {ColorRange::kLimited, ColorRange::kFull};
constexpr InputSpec::Fit kFits[] = {InputSpec::Fit::kLetterbox, InputSpec::Fit::kStretch,
                                    InputSpec::Fit::kCenterCrop};

// The header promises one level; single precision is better than this.
constexpr double kTolerance = 0.01;

InputSpec input_of(int width, int height, InputSpec::Fit fit = InputSpec::Fit::kLetterbox) {
  InputSpec input;
  input.width = width;
  input.height = height;
  input.fit = fit;
  return input;
}

InputSpec imagenet_input(int width, int height, InputSpec::Fit fit) {
  InputSpec input = input_of(width, height, fit);
  input.crop = 0.875f;
  constexpr float kMean[] = {0.485f, 0.456f, 0.406f}, kDeviation[] = {0.229f, 0.224f, 0.225f};
  std::copy_n(kMean, 3, input.mean);
  std::copy_n(kDeviation, 3, input.std);
  return input;
}

void expect_right(const RunCase& run, const PreprocessCase& one, const std::string& what) {
  EXPECT_LT(worst_level(one, run(one)), kTolerance) << what;
}

std::string name_of(const Frame& frame) {
  return std::string(to_string(frame.format)) + " " + std::to_string(frame.info.width) + "x" +
         std::to_string(frame.info.height) + " matrix " +
         std::to_string(static_cast<int>(frame.matrix)) + " range " +
         std::to_string(static_cast<int>(frame.range));
}

}  // namespace

TensorView PreprocessCase::output(void* data) const {
  const std::int64_t width = input.width, height = input.height;
  TensorView out(data, dtype, {static_cast<std::int64_t>(frames.size()), 3, height, width},
                 Device::cuda(0));
  if (layout == Layout::kChannelsLast) out.strides = {3 * height * width, 1, 3 * width, 3};
  if (layout == Layout::kHalfPixels) out.strides = {4 * height * width, 1, 4 * width, 4};
  if (layout == Layout::kPadded) {
    const std::int64_t row = width + 3, channel = row * height + 5;
    out.strides = {3 * channel + 7, channel, row, 1};
  }
  return out;
}

std::size_t PreprocessCase::elements() const {
  return static_cast<std::size_t>(output(nullptr).strides[0]) * frames.size();
}

ResampleJob PreprocessCase::job(std::size_t picture) const {
  const FrameInfo& info = frames[picture].info;
  if (crops.empty()) return picture_job(info.width, info.height, input);
  return crop_job(info.width, info.height, crops[picture], input);
}

double worst_level(const PreprocessCase& one, const std::vector<float>& got) {
  // FP16 keeps 11 bits.
  const double rounding = one.dtype == DType::kFloat16 ? 1.0 / 2048 : 0;
  const TensorView view = one.output(nullptr);
  std::vector<bool> belongs(got.size());
  double worst = 0;
  for (std::size_t n = 0; n < one.frames.size(); ++n) {
    const ResampleJob job = one.job(n);
    const std::vector<double> wanted = resample_reference(one.frames[n], job);
    std::size_t i = 0;
    for (std::int64_t c = 0; c < 3; ++c) {
      for (std::int64_t y = 0; y < job.height; ++y) {
        for (std::int64_t x = 0; x < job.width; ++x, ++i) {
          const auto at = static_cast<std::size_t>(static_cast<std::int64_t>(n) * view.strides[0] +
                                                   c * view.strides[1] + y * view.strides[2] +
                                                   x * view.strides[3]);
          belongs[at] = true;
          const double error = std::abs(got[at] - wanted[i]) - rounding * std::abs(wanted[i]);
          if (!(error <= worst * job.scale[c])) worst = error / job.scale[c];
          if (std::isnan(worst)) return std::numeric_limits<double>::infinity();
        }
      }
    }
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!belongs[i] && !std::isnan(got[i])) return std::numeric_limits<double>::infinity();
  }
  return worst;
}

void check_every_color(const RunCase& run) {
  for (const PixelFormat format : kFormats) {
    for (const ColorMatrix matrix : kMatrices) {
      for (const ColorRange range : kRanges) {
        Frame frame = make_picture(format, 93, 71, 7);
        frame.matrix = matrix;
        frame.range = range;
        for (const InputSpec::Fit fit : kFits) {
          for (const Layout layout :
               {Layout::kPlanar, Layout::kChannelsLast, Layout::kHalfPixels, Layout::kPadded}) {
            for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
              expect_right(run, {{frame}, {}, imagenet_input(41, 36, fit), dtype, layout},
                           name_of(frame) + " fit " + std::to_string(static_cast<int>(fit)) +
                               " layout " + std::to_string(static_cast<int>(layout)) + " " +
                               to_string(dtype));
            }
          }
        }
      }
    }
  }
}

void check_every_size(const RunCase& run) {
  for (const PixelFormat format : kFormats) {
    for (const int width : {1, 2, 3, 5, 18}) {
      for (const int height : {1, 2, 3, 7}) {
        const Frame frame = make_picture(format, width, height, 3);
        for (const InputSpec::Fit fit : kFits) {
          expect_right(run, {{frame}, {}, input_of(9, 8, fit)}, name_of(frame));
        }
      }
    }
  }
}

void check_every_ratio(const RunCase& run) {
  struct Ratio {
    int width, height, input_width, input_height;
  };
  // Whole steps, odd and even; enlarged; a width of several warps and a bit; where the position of
  // the last pixel takes more bits than a float has; one row or column left of the picture.
  for (const Ratio& each : {Ratio{192, 108, 64, 64},
                            {128, 72, 64, 64},
                            {64, 36, 64, 64},
                            {384, 216, 64, 64},
                            {20, 15, 133, 128},
                            {108, 192, 64, 64},
                            {300, 20, 270, 18},
                            {7681, 5, 640, 16},
                            {4, 2999, 16, 512},
                            {4000, 2, 64, 64}}) {
    for (const PixelFormat format : {PixelFormat::kNv12, PixelFormat::kP010}) {
      const Frame frame = make_picture(format, each.width, each.height, 5);
      for (const InputSpec::Fit fit : kFits) {
        expect_right(run, {{frame}, {}, input_of(each.input_width, each.input_height, fit)},
                     name_of(frame));
      }
    }
  }
}

void check_mixed_batch(const RunCase& run) {
  // Sizes on both sides of what one launch takes.
  for (const int count : {2, 8, 9, 64, 65, 150}) {
    PreprocessCase mixed;
    mixed.input = input_of(40, 24);
    mixed.layout = Layout::kPadded;
    std::mt19937 random(static_cast<unsigned>(count));
    const auto up_to = [&](unsigned limit) { return static_cast<int>(1 + random() % limit); };
    for (int i = 0; i < count; ++i) {
      Frame frame = make_picture(kFormats[i % 6], up_to(90), up_to(90), random());
      frame.matrix = kMatrices[random() % 3];
      frame.range = kRanges[random() % 2];
      mixed.frames.push_back(std::move(frame));
    }
    expect_right(run, mixed, std::to_string(count) + " frames");
  }
}

void check_crops(const RunCase& run) {
  PreprocessCase crops;
  crops.input = imagenet_input(16, 32, InputSpec::Fit::kStretch);
  const Frame frames[] = {make_picture(PixelFormat::kNv12, 61, 40, 5),
                          make_picture(PixelFormat::kP010, 37, 53, 6),
                          make_picture(PixelFormat::kYuv420p, 60, 41, 7)};
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Box> boxes = {{10.7f, 5.2f, 33.9f, 38.0f},
                            {-9, -9, 1000, 1000},
                            {59.9f, 39.9f, 80, 80},
                            {70, 70, 80, 80},
                            {20, 20, 20, 20},
                            {30, 30, 10, 10},
                            {-50, -50, -10, -10},
                            {kNan, 3, kNan, 9},
                            {-1e30f, 0, 1e30f, 1}};
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) {
    const auto place = [&] { return static_cast<float>(random() % 800) / 10 - 10; };
    const float x = place(), y = place();
    boxes.push_back({x, y, x + place(), y + place()});
  }
  for (const Box& box : boxes) {
    for (const Frame& frame : frames) {
      crops.frames.push_back(frame);
      crops.crops.push_back(box);
    }
  }
  for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
    for (const Layout layout : {Layout::kPlanar, Layout::kChannelsLast, Layout::kHalfPixels}) {
      crops.dtype = dtype;
      crops.layout = layout;
      expect_right(run, crops, to_string(dtype));
    }
  }
}

double check_against_cpu(const RunCase& run) {
  double worst = 0;
  for (const PixelFormat format : kFormats) {
    if (format == PixelFormat::kP010) continue;  // device only
    for (const auto& [width, height] : {std::pair{480, 270}, {333, 251}, {97, 61}}) {
      const PreprocessCase one = {{make_picture(format, width, height, 9)}, {}, input_of(160, 160)};
      const std::vector<float> got = run(one);
      std::vector<float> wanted(got.size());
      preprocess(one.frames[0], one.input, wanted.data());
      double difference = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        difference = std::max(difference, 255.0 * std::abs(got[i] - wanted[i]));
      }
      EXPECT_LT(difference, 0.15) << name_of(one.frames[0]);
      worst = std::max(worst, difference);
    }
  }
  return worst;
}

}  // namespace peregrine::vision
