// SPDX-License-Identifier: Apache-2.0
#include "model/geometry.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::model {
namespace {

// Kernels, strides and pads past this are mistakes or attacks, and would overflow the arithmetic.
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 30;

[[noreturn]] void fail(const Node& node, const std::string& what) {
  throw Error(ErrorCode::kModelInvalid, fmt::format("{} {}", describe(node), what));
}

Ints spatial_attribute(const Node& node, const char* name, std::size_t rank, std::int64_t otherwise,
                       std::int64_t least) {
  Ints values = node.attributes.get_ints(name);
  if (values.empty()) values.assign(rank, otherwise);
  const auto out_of_range = [&](std::int64_t v) { return v < least || v > kMaxExtent; };
  if (values.size() != rank || std::any_of(values.begin(), values.end(), out_of_range)) {
    fail(node, fmt::format("has {} {} for {} spatial axes", name, to_string(values), rank));
  }
  return values;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Fills kernel, stride, dilation, input and the explicit pads; auto_pad is the caller's.
Window read_window(const Node& node, const Shape& x, Ints kernel) {
  const std::size_t rank = x.size() - 2;
  Window window;
  window.kernel = std::move(kernel);
  const auto absurd = [](std::int64_t v) { return v < 1 || v > kMaxExtent; };
  if (window.kernel.size() != rank ||
      std::any_of(window.kernel.begin(), window.kernel.end(), absurd)) {
    fail(node, fmt::format("has kernel {} for input {}", to_string(window.kernel), to_string(x)));
  }
  window.stride = spatial_attribute(node, "strides", rank, 1, 1);
  window.dilation = spatial_attribute(node, "dilations", rank, 1, 1);
  window.input.assign(x.begin() + 2, x.end());
  const Ints pads = spatial_attribute(node, "pads", rank * 2, 0, 0);
  window.pad_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  window.pad_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  return window;
}

bool is_same(const std::string& auto_pad) {
  return auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
}

void check_auto_pad(const Node& node, const std::string& auto_pad) {
  if (auto_pad != "NOTSET" && auto_pad != "VALID" && !is_same(auto_pad)) {
    fail(node, fmt::format("has unknown auto_pad '{}'", auto_pad));
  }
}

void split_padding(std::int64_t total, bool upper, std::int64_t& begin, std::int64_t& end) {
  begin = upper ? total / 2 : total - total / 2;
  end = total - begin;
}

// Output sizes of a forward window; `ceil_mode` rounds up as pooling does.
void resolve_forward(const Node& node, Window& window, bool ceil_mode) {
  const std::string auto_pad = node.attributes.get_string("auto_pad", "NOTSET");
  check_auto_pad(node, auto_pad);
  for (std::size_t i = 0; i < window.kernel.size(); ++i) {
    const std::int64_t input = window.input[i];
    const std::int64_t stride = window.stride[i];
    const std::int64_t reach = (window.kernel[i] - 1) * window.dilation[i] + 1;
    if (auto_pad == "VALID") window.pad_begin[i] = window.pad_end[i] = 0;
    if (is_same(auto_pad)) {
      const std::int64_t output = ceil_div(input, stride);
      const std::int64_t total = std::max<std::int64_t>((output - 1) * stride + reach - input, 0);
      split_padding(total, auto_pad == "SAME_UPPER", window.pad_begin[i], window.pad_end[i]);
    }
    const std::int64_t room = input + window.pad_begin[i] + window.pad_end[i] - reach;
    if (room < 0 && !(ceil_mode && room + stride > 0)) {
      fail(node,
           fmt::format("has a window of {} positions over an input of {} (padded by {} and {})",
                       reach, input, window.pad_begin[i], window.pad_end[i]));
    }
    std::int64_t output = (ceil_mode ? ceil_div(room, stride) : room / stride) + 1;
    // A window that would start in the padding at the end holds nothing: PyTorch and ONNX drop it.
    if (ceil_mode && (output - 1) * stride >= input + window.pad_begin[i]) --output;
    window.output.push_back(output);
  }
}

void check_channels(const Node& node, const Shape& x, const Shape& w, std::int64_t groups,
                    bool matches) {
  if (x.size() >= 3 && w.size() == x.size() && groups >= 1 && matches) return;
  fail(node, fmt::format("has input {}, weights {} and group {}, which do not fit", to_string(x),
                         to_string(w), groups));
}

Ints kernel_of(const Node& node, const Shape& w) {
  Ints kernel(w.begin() + 2, w.end());
  if (const Ints stated = node.attributes.get_ints("kernel_shape");
      !stated.empty() && stated != kernel) {
    fail(node, fmt::format("states kernel {} but its weights have {}", to_string(stated),
                           to_string(kernel)));
  }
  return kernel;
}

}  // namespace

ConvGeometry conv_geometry(const Node& node, const Shape& x, const Shape& w) {
  ConvGeometry g;
  g.groups = node.attributes.get_int("group", 1);
  check_channels(node, x, w, g.groups,
                 w.size() >= 2 && x.size() >= 2 && g.groups >= 1 && x[1] % g.groups == 0 &&
                     w[1] == x[1] / g.groups && w[0] % g.groups == 0);
  g.batch = x[0];
  g.channels_in = x[1];
  g.channels_out = w[0];
  g.window = read_window(node, x, kernel_of(node, w));
  resolve_forward(node, g.window, false);
  return g;
}

ConvGeometry conv_transpose_geometry(const Node& node, const Shape& x, const Shape& w) {
  ConvGeometry g;
  g.groups = node.attributes.get_int("group", 1);
  check_channels(node, x, w, g.groups,
                 w.size() >= 2 && x.size() >= 2 && g.groups >= 1 && w[0] == x[1] &&
                     x[1] % g.groups == 0 && w[1] <= kMaxExtent && g.groups <= kMaxExtent);
  g.batch = x[0];
  g.channels_in = x[1];
  g.channels_out = w[1] * g.groups;
  g.window = read_window(node, x, kernel_of(node, w));
  Window& window = g.window;
  const std::size_t rank = window.kernel.size();
  const Ints extra = spatial_attribute(node, "output_padding", rank, 0, 0);
  const Ints wanted = node.attributes.get_ints("output_shape");
  const std::string auto_pad = node.attributes.get_string("auto_pad", "NOTSET");
  check_auto_pad(node, auto_pad);
  if (!wanted.empty() && wanted.size() != rank && wanted.size() != x.size()) {
    fail(node, fmt::format("has output_shape {} for {} spatial axes", to_string(wanted), rank));
  }
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t reach = (window.kernel[i] - 1) * window.dilation[i] + 1;
    const std::int64_t full = window.stride[i] * (window.input[i] - 1) + extra[i] + reach;
    std::int64_t output = full - window.pad_begin[i] - window.pad_end[i];
    if (auto_pad == "VALID") window.pad_begin[i] = window.pad_end[i] = 0, output = full;
    if (is_same(auto_pad)) output = window.input[i] * window.stride[i];
    // output_shape may carry batch and channels in front.
    if (!wanted.empty()) output = wanted[wanted.size() - rank + i];
    if (!wanted.empty() || is_same(auto_pad)) {
      const std::int64_t total = std::max<std::int64_t>(full - output, 0);
      // The rule of ConvTranspose: SAME_UPPER puts the odd one at the end, all others in front.
      split_padding(total, auto_pad == "SAME_UPPER", window.pad_begin[i], window.pad_end[i]);
    }
    if (output < 1 || output > kMaxExtent) {
      fail(node, fmt::format("would produce {} positions from {}", output, window.input[i]));
    }
    window.output.push_back(output);
  }
  return g;
}

Window pool_window(const Node& node, const Shape& x) {
  if (x.size() < 3)
    fail(node, fmt::format("pools over input {} without spatial axes", to_string(x)));
  Window window = read_window(node, x, node.attributes.get_ints("kernel_shape"));
  resolve_forward(node, window, node.attributes.get_int("ceil_mode", 0) != 0);
  return window;
}

ResizeGeometry resize_geometry(const Node& node, const Shape& x, const Floats& roi,
                               const Floats& scales, const Ints& sizes) {
  const std::size_t rank = x.size();
  Ints axes = node.attributes.get_ints("axes");
  if (axes.empty()) {
    for (std::size_t i = 0; i < rank; ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  const std::size_t given = sizes.empty() ? scales.size() : sizes.size();
  if (given != axes.size() || (!roi.empty() && roi.size() != 2 * axes.size())) {
    fail(node, fmt::format("has {} sizes or scales for {} axes", given, axes.size()));
  }
  ResizeGeometry g{x, Floats(rank, 1.0F), Floats(rank, 0.0F), Floats(rank, 1.0F)};
  const bool crops = node.attributes.get_string("coordinate_transformation_mode", "half_pixel") ==
                     "tf_crop_and_resize";
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(wrap_axis(axes[k], static_cast<std::int64_t>(rank)));
    const float input = static_cast<float>(x[axis]);
    if (crops && !roi.empty()) {
      g.roi_start[axis] = roi[k];
      g.roi_end[axis] = roi[k + axes.size()];
    }
    if (!sizes.empty()) {
      g.output[axis] = sizes[k];
      g.scales[axis] = x[axis] == 0 ? 1.0F : static_cast<float>(sizes[k]) / input;
      continue;
    }
    const float covered = input * (g.roi_end[axis] - g.roi_start[axis]);
    const float output = std::floor(covered * scales[k]);
    if (!(output >= 0 && output <= static_cast<float>(kMaxExtent)) || !(scales[k] > 0)) {
      fail(node, fmt::format("scales axis {} of {} by {}", axis, to_string(x), scales[k]));
    }
    g.output[axis] = static_cast<std::int64_t>(output);
    g.scales[axis] = scales[k];
  }
  const std::string policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch");
  if (!sizes.empty() && policy != "stretch") {
    const bool larger = policy == "not_larger";
    float scale =
        g.scales[static_cast<std::size_t>(wrap_axis(axes[0], static_cast<std::int64_t>(rank)))];
    for (const std::int64_t each : axes) {
      const float s =
          g.scales[static_cast<std::size_t>(wrap_axis(each, static_cast<std::int64_t>(rank)))];
      scale = larger ? std::min(scale, s) : std::max(scale, s);
    }
    for (const std::int64_t each : axes) {
      const auto axis = static_cast<std::size_t>(wrap_axis(each, static_cast<std::int64_t>(rank)));
      g.scales[axis] = scale;
      g.output[axis] =
          static_cast<std::int64_t>(std::floor(scale * static_cast<float>(x[axis]) + 0.5F));
    }
  }
  return g;
}

Shape broadcast(const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape result(rank, 1);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b)));
    }
    result[rank - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

std::int64_t wrap_axis(std::int64_t axis, std::int64_t rank) {
  if (axis < -rank || axis >= rank) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("axis {} is outside a tensor of rank {}", axis, rank));
  }
  return axis < 0 ? axis + rank : axis;
}

std::vector<SliceRange> slice_ranges(const Shape& x, const Ints& starts, const Ints& ends,
                                     const Ints& axes, const Ints& steps) {
  std::vector<SliceRange> ranges(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) ranges[i].count = x[i];
  const std::size_t count = starts.size();
  if (ends.size() != count || (!axes.empty() && axes.size() != count) ||
      (!steps.empty() && steps.size() != count)) {
    throw Error(ErrorCode::kInvalidShape, "starts, ends, axes and steps differ in length");
  }
  const auto rank = static_cast<std::int64_t>(x.size());
  for (std::size_t k = 0; k < count; ++k) {
    const std::int64_t axis =
        wrap_axis(axes.empty() ? static_cast<std::int64_t>(k) : axes[k], rank);
    const std::int64_t size = x[static_cast<std::size_t>(axis)];
    const std::int64_t step = steps.empty() ? 1 : steps[k];
    if (step == 0 || step == INT64_MIN) {
      throw Error(ErrorCode::kInvalidShape, "a slice has step 0");
    }
    // Clamping as NumPy does; INT64_MIN and INT64_MAX stand for "from / to the very end".
    const auto clamp = [&](std::int64_t v) {
      if (v < 0 && v >= -size) v += size;
      return step > 0 ? std::clamp<std::int64_t>(v, 0, size)
                      : std::clamp<std::int64_t>(v, -1, size - 1);
    };
    const std::int64_t start = clamp(starts[k]);
    const std::int64_t end = clamp(ends[k]);
    const std::int64_t span = step > 0 ? end - start : start - end;
    const std::int64_t stride = step > 0 ? step : -step;
    ranges[static_cast<std::size_t>(axis)] = {start, step, span <= 0 ? 0 : (span - 1) / stride + 1};
  }
  return ranges;
}

std::int64_t padded_source(const std::string& mode, std::int64_t i, std::int64_t size) {
  if (i >= 0 && i < size) return i;
  if (mode == "edge") return std::clamp<std::int64_t>(i, 0, size - 1);
  if (mode == "wrap") return ((i % size) + size) % size;
  if (mode == "reflect") {  // mirrors without repeating the border, as often as needed
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1);
    const std::int64_t phase = ((i % period) + period) % period;
    return phase < size ? phase : period - phase;
  }
  return -1;
}

}  // namespace peregrine::model
