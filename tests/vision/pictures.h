// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "vision/resample.h"

namespace peregrine::vision {

/// A frame of noise or of a smooth pattern that owns its pixels; rows are padded, so that strides
/// matter.
inline Frame make_picture(PixelFormat format, int width, int height, unsigned seed,
                          bool smooth = false) {
  Frame frame;
  frame.format = format;
  frame.info.width = width;
  frame.info.height = height;
  const bool paired = format == PixelFormat::kNv12 || format == PixelFormat::kP010;
  const bool halved = format == PixelFormat::kYuv420p || paired;
  const int chroma_width = halved ? (width + 1) / 2 : width;
  const int chroma_height = halved ? (height + 1) / 2 : height;
  auto pixels = std::make_shared<std::array<std::vector<std::uint8_t>, 3>>();
  std::mt19937 random(seed);
  for (int p = 0; p < plane_count(format); ++p) {
    // Bytes from one sample, pair or triple to the next.
    const int step = (format == PixelFormat::kRgb24 ? 3
                      : paired && p == 1            ? 2
                                                    : 1) *
                     (format == PixelFormat::kP010 ? 2 : 1);
    const int rows = p == 0 ? height : chroma_height;
    const int stride = ((p == 0 ? width : chroma_width) + 5) * step;
    auto& plane = (*pixels)[static_cast<std::size_t>(p)];
    plane.resize(static_cast<std::size_t>(stride) * static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < plane.size(); ++i) {
      const double x = static_cast<double>(i % static_cast<std::size_t>(stride)) / step;
      const double y = static_cast<double>(i) / stride;
      plane[i] = static_cast<std::uint8_t>(
          smooth ? 128 + 60 * std::sin(x / 17 + p) + 60 * std::cos(y / 13) : random() & 255);
    }
    frame.planes[static_cast<std::size_t>(p)] = {plane.data(), stride};
  }
  frame.storage = pixels;
  return frame;
}

/// R G B of one pixel, 0 to 255, in double: each step as the recommendations write it.
inline std::array<double, 3> rgb_at(const Frame& frame, int x, int y) {
  const bool ten_bits = frame.format == PixelFormat::kP010;
  // Sample `offset` of the `step` that lie at `column`.
  const auto sample = [&](int plane, int column, int row, int step = 1, int offset = 0) {
    const Plane& from = frame.planes[static_cast<std::size_t>(plane)];
    const std::uint8_t* const line = from.data + from.stride * row;
    const int at = column * step + offset;
    // Little-endian words with their value in the high ten bits.
    if (ten_bits) return static_cast<double>((line[2 * at] | line[2 * at + 1] << 8) >> 6);
    return static_cast<double>(line[at]);
  };
  if (frame.format == PixelFormat::kRgb24) {
    return {sample(0, x, y, 3, 0), sample(0, x, y, 3, 1), sample(0, x, y, 3, 2)};
  }
  const bool halved = frame.format != PixelFormat::kYuv444p;
  const auto chroma = [&](int which) {
    if (frame.format == PixelFormat::kGray8) return 128.0;
    const bool paired = frame.format == PixelFormat::kNv12 || ten_bits;
    const auto at = [&](int column, int row) {
      return paired ? sample(1, column, row, 2, which) : sample(1 + which, column, row);
    };
    if (!halved) return at(x, y);
    // Chroma samples lie in the centre of 2x2 pixels.
    const int width = (frame.info.width + 1) / 2, height = (frame.info.height + 1) / 2;
    const double u = std::clamp((x + 0.5) / 2 - 0.5, 0.0, width - 1.0);
    const double v = std::clamp((y + 0.5) / 2 - 0.5, 0.0, height - 1.0);
    const int u0 = static_cast<int>(u), v0 = static_cast<int>(v);
    const int u1 = std::min(u0 + 1, width - 1), v1 = std::min(v0 + 1, height - 1);
    return (at(u0, v0) * (u0 + 1 - u) + at(u1, v0) * (u - u0)) * (v0 + 1 - v) +
           (at(u0, v1) * (u0 + 1 - u) + at(u1, v1) * (u - u0)) * (v - v0);
  };
  double kr = 0.299, kb = 0.114;
  if (frame.matrix == ColorMatrix::kBt709) kr = 0.2126, kb = 0.0722;
  if (frame.matrix == ColorMatrix::kBt2020) kr = 0.2627, kb = 0.0593;
  const bool limited = frame.range == ColorRange::kLimited;
  const double step = ten_bits ? 4 : 1, white = ten_bits ? 1023 : 255;
  const double luma =
      limited ? (sample(0, x, y) - 16 * step) / (219 * step) : sample(0, x, y) / white;
  const double cb = (chroma(0) - 128 * step) / (limited ? 224 * step : white);
  const double cr = (chroma(1) - 128 * step) / (limited ? 224 * step : white);
  const double red = luma + 2 * (1 - kr) * cr;
  const double blue = luma + 2 * (1 - kb) * cb;
  const double green = (luma - kr * red - kb * blue) / (1 - kr - kb);
  const auto level = [](double value) { return std::clamp(value, 0.0, 1.0) * 255; };
  return {level(red), level(green), level(blue)};
}

/// What `resample` should write, pixel by pixel in double.
inline std::vector<double> resample_reference(const Frame& frame, const ResampleJob& job) {
  const auto width = static_cast<std::size_t>(job.width);
  const auto plane = width * static_cast<std::size_t>(job.height);
  std::vector<double> out(3 * plane);
  const auto place = [](int pixel, int region, int resized) {
    return std::clamp((pixel + 0.5) * region / resized - 0.5, 0.0, region - 1.0);
  };
  for (int y = 0; y < job.height; ++y) {
    for (int x = 0; x < job.width; ++x) {
      const int px = x - job.left, py = y - job.top;
      const bool inside = px >= 0 && px < job.resized_width && py >= 0 && py < job.resized_height;
      const double sx = inside ? place(px, job.region_width, job.resized_width) : 0;
      const double sy = inside ? place(py, job.region_height, job.resized_height) : 0;
      const int x0 = static_cast<int>(sx), y0 = static_cast<int>(sy);
      const int x1 = std::min(x0 + 1, job.region_width - 1);
      const int y1 = std::min(y0 + 1, job.region_height - 1);
      const auto at = [&](int column, int row) {
        return rgb_at(frame, job.region_x + column, job.region_y + row);
      };
      const auto a = at(x0, y0), b = at(x1, y0), c = at(x0, y1), d = at(x1, y1);
      for (std::size_t k = 0; k < 3; ++k) {
        const double above = a[k] * (x0 + 1 - sx) + b[k] * (sx - x0);
        const double below = c[k] * (x0 + 1 - sx) + d[k] * (sx - x0);
        const double level = above * (y0 + 1 - sy) + below * (sy - y0);
        out[k * plane + static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)] =
            inside ? level * job.scale[k] + job.bias[k] : job.padding[k];
      }
    }
  }
  return out;
}

}  // namespace peregrine::vision
