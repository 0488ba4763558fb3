// SPDX-License-Identifier: Apache-2.0
#include "model/resize_taps.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::model {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& what) {
  throw Error(ErrorCode::kModelUnsupported, fmt::format("{} {}", describe(node), what));
}

struct AxisPlan {
  std::int64_t input, output;
  double scale;  // output / input
  double roi_start, roi_end;
};

std::string coordinate_mode(const Node& node) {
  return node.attributes.get_string("coordinate_transformation_mode", "half_pixel");
}

// Where output position `o` lies in the input, in pixels (ONNX's coordinate_transformation_mode).
double input_coordinate(const Node& node, const std::string& mode, const AxisPlan& axis,
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
  fail(node, fmt::format("has unknown coordinate_transformation_mode '{}'", mode));
}

std::int64_t nearest_index(const Node& node, const std::string& mode, double x) {
  if (mode == "round_prefer_floor") return static_cast<std::int64_t>(std::ceil(x - 0.5));
  if (mode == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(x + 0.5));
  if (mode == "floor") return static_cast<std::int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<std::int64_t>(std::ceil(x));
  fail(node, fmt::format("has unknown nearest_mode '{}'", mode));
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
std::vector<ResizeTap> interpolate(const Node& node, double x, const AxisPlan& axis,
                                bool cubic) {
  const double a = static_cast<double>(node.attributes.get_float("cubic_coeff_a", -0.75F));
  const bool exclude = node.attributes.get_int("exclude_outside", 0) != 0;
  const bool antialias = node.attributes.get_int("antialias", 0) != 0;
  const double narrow = antialias ? std::min(1.0, axis.scale) : 1.0;
  const double reach = (cubic ? 2 : 1) / narrow;
  std::vector<ResizeTap> sources;
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
  for (ResizeTap& source : sources) source.weight /= sum;
  return sources;
}

}  // namespace

std::vector<ResizePosition> resize_positions(const Node& node, const ResizeGeometry& g,
                                             std::size_t axis, std::int64_t input) {
  const AxisPlan plan{input, g.output[axis], static_cast<double>(g.scales[axis]),
                      static_cast<double>(g.roi_start[axis]), static_cast<double>(g.roi_end[axis])};
  const std::string kind = node.attributes.get_string("mode", "nearest");
  if (kind != "nearest" && kind != "linear" && kind != "cubic") {
    fail(node, fmt::format("has unknown mode '{}'", kind));
  }
  const std::string mode = coordinate_mode(node);
  const std::string nearest = node.attributes.get_string("nearest_mode", "round_prefer_floor");
  std::vector<ResizePosition> positions;
  for (std::int64_t o = 0; o < plan.output; ++o) {
    const double x = input_coordinate(node, mode, plan, o);
    ResizePosition& position = positions.emplace_back();
    position.outside =
        mode == "tf_crop_and_resize" && (x < 0 || x > static_cast<double>(plan.input - 1));
    if (kind == "nearest") {
      const std::int64_t index = nearest_index(node, nearest, x);
      position.taps = {{std::clamp<std::int64_t>(index, 0, plan.input - 1), 1.0}};
    } else {
      position.taps = interpolate(node, x, plan, kind == "cubic");
    }
  }
  return positions;
}

bool resize_keeps(const Node& node, const ResizeGeometry& g, std::size_t axis,
                  std::int64_t input) {
  return g.output[axis] == input && g.scales[axis] == 1.0F &&
         coordinate_mode(node) != "tf_crop_and_resize";
}

}  // namespace peregrine::model
