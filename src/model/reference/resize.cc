// SPDX-License-Identifier: Apache-2.0
// Resize is separable: each axis is resampled on its own, by a small list of weighted sources for
// every output position.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "model/geometry.h"
#include "model/reference/kernel.h"
#include "model/shape_rules.h"

namespace peregrine::model::reference {
namespace {

struct Source {
  std::int64_t index;
  double weight;
};
struct Position {
  std::vector<Source> sources;
  bool outside = false;  // tf_crop_and_resize: the extrapolation value stands here
};

struct AxisPlan {
  std::int64_t input, output;
  double scale;  // output / input
  double roi_start, roi_end;
};

// Where output position `o` lies in the input, in pixels (ONNX's coordinate_transformation_mode).
double input_coordinate(const KernelContext& c, const std::string& mode, const AxisPlan& axis,
                        std::int64_t o) {
  const auto x = static_cast<double>(o);
  const auto in = static_cast<double>(axis.input);
  // ONNX's formulas use the length before it is rounded down.
  const double out = axis.scale * in;
  if (mode == "half_pixel") return (x + 0.5) / axis.scale - 0.5;
  if (mode == "asymmetric") return x / axis.scale;
  if (mode == "align_corners") return out == 1 ? 0 : x * (in - 1) / (out - 1);
  if (mode == "pytorch_half_pixel") return out > 1 ? (x + 0.5) / axis.scale - 0.5 : 0;
  if (mode == "half_pixel_symmetric") {
    // The output length is rounded: the picture is centred so that the rounding has no direction.
    const double adjustment = static_cast<double>(axis.output) / out;
    const double centre = in / 2;
    return centre * (1 - adjustment) + (x + 0.5) / axis.scale - 0.5;
  }
  if (mode == "tf_crop_and_resize") {
    if (out > 1) {
      return axis.roi_start * (in - 1) + x * (axis.roi_end - axis.roi_start) * (in - 1) / (out - 1);
    }
    return 0.5 * (axis.roi_start + axis.roi_end) * (in - 1);
  }
  c.fail(fmt::format("has unknown coordinate_transformation_mode '{}'", mode));
}

std::int64_t nearest_index(const KernelContext& c, const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return static_cast<std::int64_t>(std::ceil(x - 0.5));
  if (mode == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(x + 0.5));
  if (mode == "floor") return static_cast<std::int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<std::int64_t>(std::ceil(x));
  c.fail(fmt::format("has unknown nearest_mode '{}'", mode));
}

// Keys' cubic with parameter a.
double cubic_weight(double distance, double a) {
  const double t = std::abs(distance);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

double triangle_weight(double distance) { return std::max(0.0, 1 - std::abs(distance)); }

// The taps of linear (reach 1) and cubic (reach 2) interpolation around x; a reduction widens them
// when antialias is set.
std::vector<Source> interpolate(const KernelContext& c, double x, const AxisPlan& axis,
                                bool cubic) {
  const double a = static_cast<double>(c.attributes().get_float("cubic_coeff_a", -0.75F));
  const bool exclude = c.attributes().get_int("exclude_outside", 0) != 0;
  const bool antialias = c.attributes().get_int("antialias", 0) != 0;
  const double narrow = antialias ? std::min(1.0, axis.scale) : 1.0;
  const double reach = (cubic ? 2 : 1) / narrow;
  std::vector<Source> sources;
  double sum = 0;
  const auto first = static_cast<std::int64_t>(std::floor(x - reach)) + 1;
  for (std::int64_t i = first; static_cast<double>(i) < x + reach; ++i) {
    const double distance = (static_cast<double>(i) - x) * narrow;
    double weight = cubic ? cubic_weight(distance, a) : triangle_weight(distance);
    const bool outside = i < 0 || i >= axis.input;
    // Antialiased linear drops what lies outside; the plain forms repeat the border.
    if (outside && exclude) weight = 0;
    sources.push_back({std::clamp<std::int64_t>(i, 0, axis.input - 1), weight});
    sum += weight;
  }
  for (Source& source : sources) source.weight /= sum;
  return sources;
}

std::vector<Position> plan_axis(const KernelContext& c, const AxisPlan& axis,
                                const std::string& kind) {
  const std::string mode =
      c.attributes().get_string("coordinate_transformation_mode", "half_pixel");
  const std::string nearest = c.attributes().get_string("nearest_mode", "round_prefer_floor");
  std::vector<Position> positions;
  for (std::int64_t o = 0; o < axis.output; ++o) {
    const double x = input_coordinate(c, mode, axis, o);
    Position& position = positions.emplace_back();
    position.outside =
        mode == "tf_crop_and_resize" && (x < 0 || x > static_cast<double>(axis.input - 1));
    if (kind == "nearest") {
      const std::int64_t index = nearest_index(c, nearest, x);
      position.sources = {{std::clamp<std::int64_t>(index, 0, axis.input - 1), 1.0}};
    } else {
      position.sources = interpolate(c, x, axis, kind == "cubic");
    }
  }
  return positions;
}

// Resamples one axis of `x` (viewed as outer, extent, inner).
template <typename T>
std::vector<T> resample(const std::vector<T>& x, const AxisView& view,
                        const std::vector<Position>& positions, T outside_value) {
  std::vector<T> y(static_cast<std::size_t>(view.outer * view.inner) * positions.size());
  auto to = y.begin();
  for (std::int64_t outer = 0; outer < view.outer; ++outer)
    for (const Position& position : positions)
      for (std::int64_t i = 0; i < view.inner; ++i) {
        double sum = 0;
        for (const Source& source : position.sources) {
          const auto at = (outer * view.extent + source.index) * view.inner + i;
          sum += source.weight * static_cast<double>(x[static_cast<std::size_t>(at)]);
        }
        *to++ = position.outside ? outside_value : static_cast<T>(sum);
      }
  return y;
}

}  // namespace

namespace kernels {

void resize(const KernelContext& c) {
  const std::string kind = c.attributes().get_string("mode", "nearest");
  if (kind != "nearest" && kind != "linear" && kind != "cubic") {
    c.fail(fmt::format("has unknown mode '{}'", kind));
  }
  const bool crops = c.attributes().get_string("coordinate_transformation_mode", "half_pixel") ==
                     "tf_crop_and_resize";
  const ResizeGeometry g = resize_geometry(
      c.node, c.shape(0), crops && c.has(1) ? to_floats(c.in(1)) : Floats(),
      c.has(2) ? to_floats(c.in(2)) : Floats(), c.has(3) ? to_ints(c.in(3)) : Ints());
  const float extrapolation = c.attributes().get_float("extrapolation_value", 0.0F);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    std::vector<T> values(c.data<T>(0), c.data<T>(0) + c.in(0).size());
    Shape shape = c.shape(0);
    for (std::size_t axis = 0; axis < shape.size() && !values.empty(); ++axis) {
      const auto scale = static_cast<double>(g.scales[axis]);
      if (g.output[axis] == shape[axis] && scale == 1.0 && !crops) continue;
      const AxisPlan plan{shape[axis], g.output[axis], scale,
                          static_cast<double>(g.roi_start[axis]),
                          static_cast<double>(g.roi_end[axis])};
      values = resample(values, axis_view(shape, static_cast<std::int64_t>(axis)),
                        plan_axis(c, plan, kind), static_cast<T>(extrapolation));
      shape[axis] = g.output[axis];
    }
    std::copy(values.begin(), values.end(), c.result<T>());
  });
}

}  // namespace kernels
}  // namespace peregrine::model::reference
