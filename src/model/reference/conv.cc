// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "model/geometry.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

std::int64_t product(const Ints& values) {
  std::int64_t result = 1;
  for (const std::int64_t value : values) result *= value;
  return result;
}

// Position k of a window whose output stands at o, in the input; -1 in the padding.
std::int64_t source(const Window& w, std::size_t axis, std::int64_t o, std::int64_t k) {
  const std::int64_t at = o * w.stride[axis] - w.pad_begin[axis] + k * w.dilation[axis];
  return at >= 0 && at < w.input[axis] ? at : -1;
}

// Walks the positions of `extent`; false after the last one.
bool advance(Ints& position, const Ints& extent) {
  for (std::size_t axis = extent.size(); axis-- > 0;) {
    if (++position[axis] < extent[axis]) return true;
    position[axis] = 0;
  }
  return false;
}

// For tap `tap`: offset of every output position in one input plane, -1 in the padding.
void tap_offsets(const Window& w, const Ints& tap, std::vector<std::int64_t>& offsets) {
  Ints position(w.output.size(), 0);
  offsets.clear();
  do {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < tap.size() && offset >= 0; ++axis) {
      const std::int64_t at = source(w, axis, position[axis], tap[axis]);
      offset = at < 0 ? -1 : offset * w.input[axis] + at;
    }
    offsets.push_back(offset);
  } while (advance(position, w.output));
}

// The taps of a window, one list of offsets each, in the order of the weights.
std::vector<std::vector<std::int64_t>> all_taps(const Window& w) {
  std::vector<std::vector<std::int64_t>> taps;
  Ints tap(w.kernel.size(), 0);
  do tap_offsets(w, tap, taps.emplace_back());
  while (advance(tap, w.kernel));
  return taps;
}

void add_bias(const KernelContext& c, std::int64_t batch, std::int64_t channels,
              std::int64_t plane) {
  if (!c.has(2)) return;
  float* y = c.result<float>();
  for (std::int64_t i = 0; i < batch * channels; ++i) {
    const float bias = c.data<float>(2)[i % channels];
    for (std::int64_t p = 0; p < plane; ++p) y[i * plane + p] += bias;
  }
}

bool is_pointwise(const Window& w) {
  const auto all = [](const Ints& v, std::int64_t wanted) {
    return std::all_of(v.begin(), v.end(), [&](std::int64_t each) { return each == wanted; });
  };
  return all(w.kernel, 1) && all(w.stride, 1) && all(w.pad_begin, 0) && all(w.pad_end, 0);
}

}  // namespace

namespace kernels {

// Per picture and group: the columns [channels * taps, positions] times the weights.
void conv(const KernelContext& c) {
  if (c.in(0).dtype() != DType::kFloat32) c.fail("is computed in float32 only");
  const ConvGeometry g = conv_geometry(c.node, c.shape(0), c.shape(1));
  const std::int64_t input_plane = product(g.window.input);
  const std::int64_t plane = product(g.window.output);
  const std::int64_t group_in = g.channels_in / g.groups;
  const std::int64_t group_out = g.channels_out / g.groups;
  const std::int64_t depth = group_in * product(g.window.kernel);
  const bool direct = is_pointwise(g.window);
  const auto taps =
      direct || plane == 0 ? std::vector<std::vector<std::int64_t>>() : all_taps(g.window);
  std::vector<float> columns(direct ? 0 : static_cast<std::size_t>(depth * plane));
  for (std::int64_t n = 0; n < g.batch && plane > 0; ++n)
    for (std::int64_t group = 0; group < g.groups; ++group) {
      const float* x = c.data<float>(0) + (n * g.channels_in + group * group_in) * input_plane;
      float* column = columns.data();
      for (std::int64_t channel = 0; channel < group_in && !direct; ++channel)
        for (const auto& offsets : taps) {
          for (const std::int64_t offset : offsets) {
            *column++ = offset < 0 ? 0.0F : x[channel * input_plane + offset];
          }
        }
      multiply(group_out, plane, depth, c.data<float>(1) + group * group_out * depth, depth,
               direct ? x : columns.data(), plane,
               c.result<float>() + (n * g.channels_out + group * group_out) * plane, plane, false);
    }
  add_bias(c, g.batch, g.channels_out, plane);
  apply_epilogue(c.node, c.out(), c.has(3) ? &c.in(3) : nullptr);
}

// The same taps the other way: every input position adds its share to the outputs it reaches.
void conv_transpose(const KernelContext& c) {
  if (c.in(0).dtype() != DType::kFloat32) c.fail("is computed in float32 only");
  const ConvGeometry g = conv_transpose_geometry(c.node, c.shape(0), c.shape(1));
  Window reversed = g.window;
  std::swap(reversed.input, reversed.output);  // now "output" walks x and "input" is y
  const std::int64_t x_plane = product(g.window.input);
  const std::int64_t y_plane = product(g.window.output);
  const std::int64_t group_in = g.channels_in / g.groups;
  const std::int64_t group_out = g.channels_out / g.groups;
  const auto taps = x_plane == 0 ? std::vector<std::vector<std::int64_t>>() : all_taps(reversed);
  const auto tap_count = static_cast<std::int64_t>(taps.size());
  float* y = c.result<float>();
  std::fill_n(y, c.out().size(), 0.0F);
  std::vector<float> share(static_cast<std::size_t>(x_plane));
  for (std::int64_t n = 0; n < g.batch; ++n)
    for (std::int64_t out = 0; out < g.channels_out; ++out) {
      const std::int64_t group = out / group_out;
      float* to = y + (n * g.channels_out + out) * y_plane;
      for (std::int64_t tap = 0; tap < tap_count; ++tap) {
        std::fill(share.begin(), share.end(), 0.0F);
        for (std::int64_t in = group * group_in; in < (group + 1) * group_in; ++in) {
          const float weight =
              c.data<float>(1)[(in * group_out + out % group_out) * tap_count + tap];
          const float* x = c.data<float>(0) + (n * g.channels_in + in) * x_plane;
          for (std::int64_t p = 0; p < x_plane; ++p)
            share[static_cast<std::size_t>(p)] += weight * x[p];
        }
        const auto& offsets = taps[static_cast<std::size_t>(tap)];
        for (std::size_t p = 0; p < offsets.size(); ++p) {
          if (offsets[p] >= 0) to[offsets[p]] += share[p];
        }
      }
    }
  add_bias(c, g.batch, g.channels_out, y_plane);
  apply_epilogue(c.node, c.out(), nullptr);
}

}  // namespace kernels
}  // namespace peregrine::model::reference
