// SPDX-License-Identifier: Apache-2.0
#include "vision/letterbox.h"

#include <algorithm>
#include <cmath>

#include "peregrine/error.h"
#include "vision/resample.h"

namespace peregrine::vision {
namespace {

constexpr float kGrey = 114.0f / 255;

int round_even(double value) { return static_cast<int>(std::nearbyint(value)); }

// Size to which the whole picture is resized, and where its corner lies in the model's input.
struct Placement {
  int width = 0, height = 0;
  int left = 0, top = 0;
};

Placement place_pixels(int source_width, int source_height, const InputSpec& input) {
  if (source_width <= 0 || source_height <= 0 || input.width <= 0 || input.height <= 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "a picture of " + std::to_string(source_width) + "x" +
                    std::to_string(source_height) + " cannot be placed in an input of " +
                    std::to_string(input.width) + "x" + std::to_string(input.height));
  }
  const double across = static_cast<double>(input.width) / source_width;
  const double down = static_cast<double>(input.height) / source_height;
  Placement placement;
  switch (input.fit) {
    case InputSpec::Fit::kStretch: return {input.width, input.height, 0, 0};
    case InputSpec::Fit::kLetterbox: {
      // Python's round() goes to even on ties, as nearbyint does: the sizes of the training code.
      const double scale = std::min(across, down);
      placement.width = std::max(round_even(source_width * scale), 1);
      placement.height = std::max(round_even(source_height * scale), 1);
      placement.left = round_even((input.width - placement.width) / 2.0 - 0.1);
      placement.top = round_even((input.height - placement.height) / 2.0 - 0.1);
      break;
    }
    case InputSpec::Fit::kCenterCrop: {
      // torchvision's Resize(shorter) truncates the longer side, then CenterCrop rounds its corner.
      const double scale = std::max(across, down) / input.crop;
      placement.width = std::max(static_cast<int>(source_width * scale + 1e-6), input.width);
      placement.height = std::max(static_cast<int>(source_height * scale + 1e-6), input.height);
      placement.left = -round_even((placement.width - input.width) / 2.0);
      placement.top = -round_even((placement.height - input.height) / 2.0);
      break;
    }
  }
  return placement;
}

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

Letterbox to_letterbox(int source_width, int source_height, const Placement& placement) {
  Letterbox letterbox;
  letterbox.source_width = source_width;
  letterbox.source_height = source_height;
  letterbox.scale_x = static_cast<float>(placement.width) / static_cast<float>(source_width);
  letterbox.scale_y = static_cast<float>(placement.height) / static_cast<float>(source_height);
  letterbox.pad_x = static_cast<float>(placement.left);
  letterbox.pad_y = static_cast<float>(placement.top);
  return letterbox;
}

}  // namespace

void Letterbox::point_to_source(float& x, float& y) const {
  x = (x - pad_x) / scale_x;
  y = (y - pad_y) / scale_y;
}

Box Letterbox::to_source(const Box& box) const {
  Box out = box;
  point_to_source(out.x1, out.y1);
  point_to_source(out.x2, out.y2);
  const auto right = static_cast<float>(source_width), bottom = static_cast<float>(source_height);
  return {std::clamp(out.x1, 0.0f, right), std::clamp(out.y1, 0.0f, bottom),
          std::clamp(out.x2, 0.0f, right), std::clamp(out.y2, 0.0f, bottom)};
}

Letterbox place(int source_width, int source_height, const InputSpec& input) {
  return to_letterbox(source_width, source_height,
                      place_pixels(source_width, source_height, input));
}

Letterbox preprocess(const Frame& frame, const InputSpec& input, float* out) {
  const Placement placement = place_pixels(frame.info.width, frame.info.height, input);
  ResampleJob job = normalising_job(input);
  job.region_width = frame.info.width;
  job.region_height = frame.info.height;
  job.resized_width = placement.width;
  job.resized_height = placement.height;
  job.left = placement.left;
  job.top = placement.top;
  resample(frame, job, out, best_simd());
  return to_letterbox(frame.info.width, frame.info.height, placement);
}

void preprocess_crop(const Frame& frame, const Box& crop, const InputSpec& input, float* out) {
  // Whole pixels, corners truncated, as `picture[int(y1):int(y2), int(x1):int(x2)]` cuts them; at
  // least one pixel.
  const auto corner = [](float value, int limit) {
    return static_cast<int>(std::clamp(value, 0.0f, static_cast<float>(limit)));
  };
  ResampleJob job = normalising_job(input);
  job.region_x = std::min(corner(crop.x1, frame.info.width), frame.info.width - 1);
  job.region_y = std::min(corner(crop.y1, frame.info.height), frame.info.height - 1);
  job.region_width = std::max(corner(crop.x2, frame.info.width) - job.region_x, 1);
  job.region_height = std::max(corner(crop.y2, frame.info.height) - job.region_y, 1);
  job.resized_width = input.width;
  job.resized_height = input.height;
  resample(frame, job, out, best_simd());
}

}  // namespace peregrine::vision
