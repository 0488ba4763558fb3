// SPDX-License-Identifier: Apache-2.0
#include "vision/picture_input.h"

namespace peregrine::vision {
namespace {

constexpr std::int64_t kChannels = 4;

bool is_half_pixels(DType dtype, const Shape& shape) {
  return dtype == DType::kFloat16 && shape.size() == 4 && shape[3] == kChannels;
}

Shape planar(const Shape& pixels) { return {pixels[0], 3, pixels[1], pixels[2]}; }

}  // namespace

bool takes_half_pixels(const TensorSpec& input) { return is_half_pixels(input.dtype, input.shape); }

TensorSpec planar_spec(const TensorSpec& input) {
  TensorSpec spec = input;
  if (takes_half_pixels(input)) spec.shape = planar(input.shape);
  return spec;
}

TensorView planar_view(const TensorView& input) {
  if (!is_half_pixels(input.dtype, input.shape)) return input;
  TensorView view = input;
  view.shape = planar(input.shape);
  const std::int64_t width = input.shape[2], height = input.shape[1];
  view.strides = {height * width * kChannels, 1, width * kChannels, kChannels};
  return view;
}

}  // namespace peregrine::vision
