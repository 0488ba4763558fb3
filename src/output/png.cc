// SPDX-License-Identifier: Apache-2.0
#include "output/png.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "output/canvas.h"
#include "output/output_file.h"
#include "peregrine/error.h"

namespace peregrine::output {
namespace {

// Cairo's xRGB word.
std::uint32_t pack(int r, int g, int b) {
  return static_cast<std::uint32_t>(r) << 16 | static_cast<std::uint32_t>(g) << 8 |
         static_cast<std::uint32_t>(b);
}

std::uint32_t rgb_of(double luma, double cb, double cr, ColorMatrix matrix) {
  const LumaWeights weights = luma_weights(matrix);
  const double r = luma + 2 * (1 - weights.r) * cr;
  const double b = luma + 2 * (1 - weights.b) * cb;
  const double g = (luma - weights.r * r - weights.b * b) / weights.g;
  const auto byte = [](double value) {
    return static_cast<int>(std::clamp(std::lround(value), 0L, 255L));
  };
  return pack(byte(r), byte(g), byte(b));
}

std::uint32_t pixel_at(const Frame& frame, int x, int y) {
  const auto sample = [&](std::size_t plane, int column, int row) {
    return static_cast<int>(frame.planes[plane].data[row * frame.planes[plane].stride + column]);
  };
  if (frame.format == PixelFormat::kRgb24) {
    return pack(sample(0, 3 * x, y), sample(0, 3 * x + 1, y), sample(0, 3 * x + 2, y));
  }
  const int luma = sample(0, x, y);
  if (frame.format == PixelFormat::kGray8) return pack(luma, luma, luma);
  int cb = 0, cr = 0;
  switch (frame.format) {
    case PixelFormat::kNv12:
      cb = sample(1, x / 2 * 2, y / 2);
      cr = sample(1, x / 2 * 2 + 1, y / 2);
      break;
    case PixelFormat::kYuv444p:
      cb = sample(1, x, y);
      cr = sample(2, x, y);
      break;
    default:
      cb = sample(1, x / 2, y / 2);
      cr = sample(2, x / 2, y / 2);
      break;
  }
  if (frame.range == ColorRange::kFull) return rgb_of(luma, cb - 128, cr - 128, frame.matrix);
  return rgb_of((luma - 16) * 255.0 / 219, (cb - 128) * 255.0 / 224, (cr - 128) * 255.0 / 224,
                frame.matrix);
}

struct SurfaceRelease {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};

}  // namespace

void write_png(const std::string& path, const Frame& frame) {
  require_host_picture(frame);
  const int width = frame.info.width, height = frame.info.height;
  const int stride = cairo_format_stride_for_width(CAIRO_FORMAT_RGB24, width);
  std::vector<std::uint32_t> pixels(static_cast<std::size_t>(stride) / 4 * height);
  for (int y = 0; y < height; ++y) {
    std::uint32_t* row = pixels.data() + static_cast<std::size_t>(y) * stride / 4;
    for (int x = 0; x < width; ++x) row[x] = pixel_at(frame, x, y);
  }
  const std::unique_ptr<cairo_surface_t, SurfaceRelease> surface(
      cairo_image_surface_create_for_data(reinterpret_cast<unsigned char*>(pixels.data()),
                                          CAIRO_FORMAT_RGB24, width, height, stride));
  // Exceptions must not pass through Cairo: the bytes are gathered first.
  std::string bytes;
  const auto gather = [](void* to, const unsigned char* data, unsigned length) {
    static_cast<std::string*>(to)->append(reinterpret_cast<const char*>(data), length);
    return CAIRO_STATUS_SUCCESS;
  };
  const cairo_status_t status = cairo_surface_write_to_png_stream(surface.get(), gather, &bytes);
  if (status != CAIRO_STATUS_SUCCESS) {
    throw Error(ErrorCode::kOutput,
                fmt::format("cannot write '{}': {}", path, cairo_status_to_string(status)));
  }
  OutputFile file(partial_path(path));
  file.write(bytes);
  file.close();
  rename_into_place(file.path(), path);
}

}  // namespace peregrine::output
