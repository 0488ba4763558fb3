// SPDX-License-Identifier: Apache-2.0
#include "vision/letterbox.h"

#include <algorithm>
#include <cmath>

#include "peregrine/error.h"

namespace peregrine::vision {
namespace {

constexpr float kGrey = 114.0f / 255;

int round_even(double value) { return static_cast<int>(std::nearbyint(value)); }

void check_sizes(int source_width, int source_height, const InputSpec& input) {
  if (source_width > 0 && source_height > 0 && input.width > 0 && input.height > 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              "a picture of " + std::to_string(source_width) + "x" + std::to_string(source_height) +
                  " cannot be placed in an input of " + std::to_string(input.width) + "x" +
                  std::to_string(input.height));
}

// A job without its place yet: the size and the normalisation of the model's input.
ResampleJob normalising_job(const InputSpec& input) {
  ResampleJob job;
  job.width = input.width;
  job.height = input.height;
  for (int c = 0; c < 3; ++c) {
    job.scale[c] = 1.0f / (255.0f * input.std[c]);
    job.bias[c] = -input.mean[c] / input.std[c];
    job.padding[c] = (kGrey - input.mean[c]) / input.std[c];
  }
  return job;
}

}  // namespace

ResampleJob picture_job(int source_width, int source_height, const InputSpec& input) {
  check_sizes(source_width, source_height, input);
  ResampleJob job = normalising_job(input);
  job.region_width = source_width;
  job.region_height = source_height;
  const double across = static_cast<double>(input.width) / source_width;
  const double down = static_cast<double>(input.height) / source_height;
  switch (input.fit) {
    case InputSpec::Fit::kStretch:
      job.resized_width = input.width;
      job.resized_height = input.height;
      break;
    case InputSpec::Fit::kLetterbox: {
      // Python's round() goes to even on ties, as nearbyint does: the sizes of the training code.
      const double scale = std::min(across, down);
      job.resized_width = std::max(round_even(source_width * scale), 1);
      job.resized_height = std::max(round_even(source_height * scale), 1);
      job.left = round_even((input.width - job.resized_width) / 2.0 - 0.1);
      job.top = round_even((input.height - job.resized_height) / 2.0 - 0.1);
      break;
    }
    case InputSpec::Fit::kCenterCrop: {
      // torchvision's Resize(shorter) truncates the longer side, then CenterCrop rounds its corner.
      const double scale = std::max(across, down) / input.crop;
      job.resized_width = std::max(static_cast<int>(source_width * scale + 1e-6), input.width);
      job.resized_height = std::max(static_cast<int>(source_height * scale + 1e-6), input.height);
      job.left = -round_even((job.resized_width - input.width) / 2.0);
      job.top = -round_even((job.resized_height - input.height) / 2.0);
      break;
    }
  }
  return job;
}

ResampleJob crop_job(int source_width, int source_height, const Box& crop, const InputSpec& input) {
  check_sizes(source_width, source_height, input);
  // Whole pixels, corners truncated, as `picture[int(y1):int(y2), int(x1):int(x2)]` cuts them; at
  // least one pixel. A corner that is not a number counts as 0.
  const auto corner = [](float value, int limit) {
    return value > 0 ? static_cast<int>(std::min(value, static_cast<float>(limit))) : 0;
  };
  ResampleJob job = normalising_job(input);
  job.region_x = std::min(corner(crop.x1, source_width), source_width - 1);
  job.region_y = std::min(corner(crop.y1, source_height), source_height - 1);
  job.region_width = std::max(corner(crop.x2, source_width) - job.region_x, 1);
  job.region_height = std::max(corner(crop.y2, source_height) - job.region_y, 1);
  job.resized_width = input.width;
  job.resized_height = input.height;
  return job;
}

Letterbox letterbox_of(const ResampleJob& job) {
  Letterbox letterbox;
  letterbox.source_width = job.region_width;
  letterbox.source_height = job.region_height;
  letterbox.scale_x = static_cast<float>(job.resized_width) / static_cast<float>(job.region_width);
  letterbox.scale_y =
      static_cast<float>(job.resized_height) / static_cast<float>(job.region_height);
  letterbox.pad_x = static_cast<float>(job.left);
  letterbox.pad_y = static_cast<float>(job.top);
  return letterbox;
}

Letterbox place(int source_width, int source_height, const InputSpec& input) {
  return letterbox_of(picture_job(source_width, source_height, input));
}

Letterbox preprocess(const Frame& frame, const InputSpec& input, float* out) {
  const ResampleJob job = picture_job(frame.info.width, frame.info.height, input);
  resample(frame, job, out, best_simd());
  return letterbox_of(job);
}

void preprocess_crop(const Frame& frame, const Box& crop, const InputSpec& input, float* out) {
  resample(frame, crop_job(frame.info.width, frame.info.height, crop, input), out, best_simd());
}

}  // namespace peregrine::vision
