// SPDX-License-Identifier: Apache-2.0
#include "vision/preprocess_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/color.h"

namespace peregrine::vision {
namespace {

AxisMap map_axis(int begin, int size, int resized, int offset) {
  constexpr double kOne = 4294967296.0;
  const auto fixed = [](double value) { return static_cast<std::int64_t>(std::llround(value)); };
  const double step = static_cast<double>(size) / resized;
  AxisMap axis;
  axis.step = fixed(step * kOne);
  axis.start = fixed((step / 2 - 0.5) * kOne);
  axis.begin = begin;
  axis.last = size - 1;
  axis.offset = offset;
  axis.resized = resized;
  return axis;
}

ColorMap map_color(const Frame& frame) {
  constexpr double kChromaOne = 16;
  const bool colored = frame.format != PixelFormat::kGray8;
  const int bits = frame.format == PixelFormat::kP010 ? 10 : 8;
  const ColorGains gains = color_gains(frame.matrix, frame.range, bits);
  const auto number = [](double value) { return static_cast<float>(value); };
  const double black = -gains.luma_offset * gains.luma;
  const double zero = colored ? gains.chroma_offset : 0;
  ColorMap color;
  color.luma = number(gains.luma);
  color.red_v = number(gains.red_v / kChromaOne);
  color.green_u = number(gains.green_u / kChromaOne);
  color.green_v = number(gains.green_v / kChromaOne);
  color.blue_u = number(gains.blue_u / kChromaOne);
  color.constant[0] = number(black - zero * gains.red_v);
  color.constant[1] = number(black + zero * (gains.green_u + gains.green_v));
  color.constant[2] = number(black - zero * gains.blue_u);
  return color;
}

// Bytes that the kernel reads at once from a plane.
int sample_bytes(PixelFormat format, int plane) {
  if (format == PixelFormat::kNv12) return plane == 0 ? 1 : 2;
  if (format == PixelFormat::kP010) return plane == 0 ? 2 : 4;
  return 1;
}

constexpr std::int64_t kPlaneBytes = std::int64_t{1} << 32;  // offsets in a plane have 32 bits

[[noreturn]] void refuse(const Frame& frame, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("frame {} of stream {} ({} {}x{}) cannot be preprocessed on the GPU: {}",
                          frame.info.index, frame.info.stream, to_string(frame.format),
                          frame.info.width, frame.info.height, why));
}

void check(const Frame& frame, Device device) {
  if (frame.device != device) {
    refuse(frame, fmt::format("it is on {}, the output on {}; upload it, or preprocess where it is",
                              to_string(frame.device), to_string(device)));
  }
  for (int p = 0; p < plane_count(frame.format); ++p) {
    const Plane& plane = frame.planes[static_cast<std::size_t>(p)];
    if (plane.data == nullptr) refuse(frame, fmt::format("plane {} is empty", p));
    if (plane.stride < 0 || plane.stride > kPlaneBytes / frame.info.height) {
      refuse(frame, fmt::format("plane {} has a stride of {} bytes; rows must follow each other "
                                "downwards, within 4 GiB",
                                p, plane.stride));
    }
    const int bytes = sample_bytes(frame.format, p);
    if (reinterpret_cast<std::uintptr_t>(plane.data) % static_cast<std::uintptr_t>(bytes) != 0 ||
        plane.stride % bytes != 0) {
      refuse(frame, fmt::format("plane {} and its stride of {} bytes must be multiples of {}; "
                                "allocate the picture with an even pitch",
                                p, plane.stride, bytes));
    }
  }
}

}  // namespace

PictureJob plan_picture(const Frame& frame, const ResampleJob& job, Device device) {
  check(frame, device);
  PictureJob picture;
  for (std::size_t p = 0; p < frame.planes.size(); ++p) {
    picture.planes[p] = frame.planes[p].data;
    picture.strides[p] = frame.planes[p].stride;
  }
  picture.format = frame.format;
  picture.chroma_right = (frame.info.width + 1) / 2 - 1;
  picture.chroma_bottom = (frame.info.height + 1) / 2 - 1;
  picture.color = map_color(frame);
  picture.x = map_axis(job.region_x, job.region_width, job.resized_width, job.left);
  picture.y = map_axis(job.region_y, job.region_height, job.resized_height, job.top);
  return picture;
}

PreprocessTarget plan_target(const TensorView& out, std::size_t pictures, const ResampleJob& any) {
  const Shape wanted = {static_cast<std::int64_t>(pictures), 3, any.height, any.width};
  const bool half = out.dtype == DType::kFloat16;
  if (out.device.is_cpu() || !(half || out.dtype == DType::kFloat32) || out.shape != wanted ||
      out.strides.size() != wanted.size() || (out.data == nullptr && pictures > 0)) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("preprocessing on the GPU writes float32 or float16 {} in its memory; "
                            "the output is {} {} on {}",
                            to_string(wanted), to_string(out.dtype), to_string(out.shape),
                            out.data == nullptr ? "no device" : to_string(out.device)));
  }
  if (std::abs(out.strides[3]) > std::numeric_limits<int>::max() / any.width) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("preprocessing on the GPU writes rows of less than 2^31 elements; the "
                            "output's {} columns are {} elements apart",
                            any.width, out.strides[3]));
  }
  PreprocessTarget target;
  target.data = out.data;
  target.picture_stride = out.strides[0];
  target.channel_stride = out.strides[1];
  target.row_stride = out.strides[2];
  target.column_stride = static_cast<int>(out.strides[3]);
  target.width = any.width;
  target.height = any.height;
  target.half = half;
  std::copy_n(any.scale, 3, target.scale);
  std::copy_n(any.bias, 3, target.bias);
  std::copy_n(any.padding, 3, target.padding);
  return target;
}

}  // namespace peregrine::vision
