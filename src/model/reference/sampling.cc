// SPDX-License-Identifier: Apache-2.0
// Ops that read pictures at computed places: GridSample and RoiAlign.
#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

enum class Padding { kZeros, kBorder, kReflection };

// Mirrors x at the edges low and high until it lies between them.
double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  double offset = std::fmod(std::abs(x - low), 2 * range);
  if (offset > range) offset = 2 * range - offset;
  return low + offset;
}

struct Sampler {
  Padding padding;
  bool align_corners;

  // [-1, 1] to pixels.
  double pixel(double x, std::int64_t size) const {
    const auto n = static_cast<double>(size);
    return align_corners ? (x + 1) / 2 * (n - 1) : ((x + 1) * n - 1) / 2;
  }
  // Index to read for position i, -1 for "zero".
  std::int64_t index(std::int64_t i, std::int64_t size) const {
    if (i >= 0 && i < size) return i;
    if (padding == Padding::kZeros) return -1;
    if (padding == Padding::kBorder) return std::clamp<std::int64_t>(i, 0, size - 1);
    const auto n = static_cast<double>(size);
    const double low = align_corners ? 0 : -0.5;
    const double x = reflect(static_cast<double>(i), low, align_corners ? n - 1 : n - 0.5);
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::nearbyint(x)), 0, size - 1);
  }
};

struct Tap {
  std::int64_t index;  // -1: zero
  double weight;
};

double cubic(double distance) {
  constexpr double a = -0.75;
  const double t = std::abs(distance);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

std::vector<Tap> axis_taps(const Sampler& s, const std::string& mode, double x, std::int64_t size) {
  if (!std::isfinite(x)) x = -1e6;  // far outside
  x = std::clamp(x, -1e9, 1e9);
  const auto base = static_cast<std::int64_t>(std::floor(x));
  std::vector<Tap> taps;
  if (mode == "nearest") {
    taps.push_back({s.index(static_cast<std::int64_t>(std::nearbyint(x)), size), 1.0});
  } else if (mode == "linear") {
    const double fraction = x - static_cast<double>(base);
    taps.push_back({s.index(base, size), 1 - fraction});
    taps.push_back({s.index(base + 1, size), fraction});
  } else {
    for (std::int64_t i = base - 1; i <= base + 2; ++i) {
      taps.push_back({s.index(i, size), cubic(static_cast<double>(i) - x)});
    }
  }
  return taps;
}

// Border and reflection act on the coordinate for linear and nearest, on each tap for cubic.
double place(const Sampler& s, const std::string& mode, double x, std::int64_t size) {
  const auto n = static_cast<double>(size);
  if (mode == "cubic" || s.padding == Padding::kZeros) return x;
  if (s.padding == Padding::kBorder) return std::clamp(x, 0.0, n - 1);
  const double mirrored = s.align_corners ? reflect(x, 0, n - 1) : reflect(x, -0.5, n - 0.5);
  return std::clamp(mirrored, 0.0, n - 1);
}

// The four weighted neighbours of (y, x); all zero outside the picture.
std::array<double, 4> bilinear(const float* plane, std::int64_t height, std::int64_t width,
                               double y, double x) {
  if (y < -1 || y > static_cast<double>(height) || x < -1 || x > static_cast<double>(width))
    return {};
  y = std::clamp(y, 0.0, static_cast<double>(height - 1));
  x = std::clamp(x, 0.0, static_cast<double>(width - 1));
  const auto y0 = static_cast<std::int64_t>(y);
  const auto x0 = static_cast<std::int64_t>(x);
  const std::int64_t y1 = std::min(y0 + 1, height - 1);
  const std::int64_t x1 = std::min(x0 + 1, width - 1);
  const double fy = y - static_cast<double>(y0);
  const double fx = x - static_cast<double>(x0);
  const auto at = [&](std::int64_t row, std::int64_t column) {
    return static_cast<double>(plane[row * width + column]);
  };
  return {(1 - fy) * (1 - fx) * at(y0, x0), (1 - fy) * fx * at(y0, x1), fy * (1 - fx) * at(y1, x0),
          fy * fx * at(y1, x1)};
}

struct Bin {
  double y, x, height, width;
  std::int64_t samples_y, samples_x;
};

// Average (or largest) of the samples of one output cell.
double pool_bin(const float* plane, std::int64_t rows, std::int64_t columns, const Bin& bin,
                bool average) {
  double sum = 0;
  double largest = -INFINITY;
  for (std::int64_t i = 0; i < bin.samples_y; ++i)
    for (std::int64_t j = 0; j < bin.samples_x; ++j) {
      const double y =
          bin.y + (static_cast<double>(i) + 0.5) * bin.height / static_cast<double>(bin.samples_y);
      const double x =
          bin.x + (static_cast<double>(j) + 0.5) * bin.width / static_cast<double>(bin.samples_x);
      // "max" compares the weighted neighbours themselves: so ONNX and its runtimes define it.
      for (const double value : bilinear(plane, rows, columns, y, x)) {
        sum += value;
        largest = std::max(largest, value);
      }
    }
  return average
             ? sum / static_cast<double>(std::max<std::int64_t>(bin.samples_y * bin.samples_x, 1))
             : largest;
}

}  // namespace

namespace kernels {

void grid_sample(const KernelContext& c) {
  const std::string mode = c.attributes().get_string("mode", "linear");
  const std::string padding = c.attributes().get_string("padding_mode", "zeros");
  if (mode != "linear" && mode != "nearest" && mode != "cubic")
    c.fail(fmt::format("has unknown mode '{}'", mode));
  const Sampler s{padding == "border"       ? Padding::kBorder
                  : padding == "reflection" ? Padding::kReflection
                                            : Padding::kZeros,
                  c.attributes().get_int("align_corners", 0) != 0};
  if (c.in(0).dtype() != DType::kFloat32 || c.in(1).dtype() != DType::kFloat32)
    c.fail("samples float32 only");
  const Ints spatial(c.shape(0).begin() + 2, c.shape(0).end());
  const std::int64_t plane = element_count(spatial);
  const std::int64_t points =
      element_count(c.out().shape()) / std::max<std::int64_t>(c.shape(0)[0] * c.shape(0)[1], 1);
  const std::size_t dims = spatial.size();
  std::vector<std::vector<Tap>> taps(dims);
  for (std::int64_t n = 0; n < c.shape(0)[0]; ++n)
    for (std::int64_t p = 0; p < points; ++p) {
      const float* grid = c.data<float>(1) + (n * points + p) * static_cast<std::int64_t>(dims);
      for (std::size_t axis = 0; axis < dims; ++axis) {  // the grid holds x first, pictures y first
        const double at = s.pixel(static_cast<double>(grid[dims - 1 - axis]), spatial[axis]);
        taps[axis] = axis_taps(s, mode, place(s, mode, at, spatial[axis]), spatial[axis]);
      }
      for (std::int64_t channel = 0; channel < c.shape(0)[1]; ++channel) {
        const std::int64_t picture = n * c.shape(0)[1] + channel;
        const float* x = c.data<float>(0) + picture * plane;
        const auto sum = [&](auto&& self, std::size_t axis, std::int64_t offset) -> double {
          if (axis == dims) return static_cast<double>(x[offset]);
          double total = 0;
          for (const Tap& tap : taps[axis]) {
            if (tap.index >= 0)
              total += tap.weight * self(self, axis + 1, offset * spatial[axis] + tap.index);
          }
          return total;
        };
        c.result<float>()[picture * points + p] = static_cast<float>(sum(sum, 0, 0));
      }
    }
}

void roi_align(const KernelContext& c) {
  const Shape& x = c.shape(0);
  const Shape& y = c.out().shape();
  const bool half_pixel =
      c.attributes().get_string("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  const bool average = c.attributes().get_string("mode", "avg") == "avg";
  const auto scale = static_cast<double>(c.attributes().get_float("spatial_scale", 1.0F));
  const std::int64_t ratio = c.attributes().get_int("sampling_ratio", 0);
  if (c.in(0).dtype() != DType::kFloat32) c.fail("samples float32 only");
  for (std::int64_t r = 0; r < y[0]; ++r) {
    const float* box = c.data<float>(1) + r * 4;
    const std::int64_t picture = c.data<std::int64_t>(2)[r];
    if (picture < 0 || picture >= x[0]) c.fail("has a box of a picture that is not in the batch");
    const double shift = half_pixel ? 0.5 : 0;
    const auto edge = [&](int i) { return static_cast<double>(box[i]) * scale - shift; };
    double width = edge(2) - edge(0);
    double height = edge(3) - edge(1);
    if (!half_pixel) width = std::max(width, 1.0), height = std::max(height, 1.0);
    const double bin_height = height / static_cast<double>(y[2]);
    const double bin_width = width / static_cast<double>(y[3]);
    const auto samples = [&](double size) {
      return ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(std::clamp(size, 0.0, 1e4)));
    };
    for (std::int64_t channel = 0; channel < y[1]; ++channel)
      for (std::int64_t i = 0; i < y[2]; ++i)
        for (std::int64_t j = 0; j < y[3]; ++j) {
          const Bin bin{edge(1) + static_cast<double>(i) * bin_height,
                        edge(0) + static_cast<double>(j) * bin_width,
                        bin_height,
                        bin_width,
                        samples(bin_height),
                        samples(bin_width)};
          const float* plane = c.data<float>(0) + (picture * x[1] + channel) * x[2] * x[3];
          c.result<float>()[((r * y[1] + channel) * y[2] + i) * y[3] + j] =
              static_cast<float>(pool_bin(plane, x[2], x[3], bin, average));
        }
  }
}

}  // namespace kernels
}  // namespace peregrine::model::reference
