// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/conv_work.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/strided.h"
#include "engine/cuda/ops/operands.h"
#include "model/half.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;

namespace {

// Calls f(group, out, in, tap, weight) for every weight.
template <typename F>
void for_each_weight(const ConvWork& work, F&& f) {
  const std::int64_t taps = work.taps();
  const float* weight = work.weights.data();
  for (std::int64_t group = 0; group < work.groups; ++group)
    for (std::int64_t out = 0; out < work.out; ++out)
      for (std::int64_t in = 0; in < work.in; ++in)
        for (std::int64_t tap = 0; tap < taps; ++tap) f(group, out, in, tap, *weight++);
}

std::vector<float> zeros(std::int64_t count) {
  return std::vector<float>(static_cast<std::size_t>(count), 0.0F);
}

}  // namespace

std::int64_t groups_to_merge(std::int64_t groups, std::int64_t in) {
  for (std::int64_t merged = 1; merged < groups; ++merged) {
    if (groups % merged == 0 && in * merged % 8 == 0) return merged;
  }
  return groups;
}

ConvWork merge_groups(const ConvWork& work, std::int64_t merged) {
  ConvWork result = work;
  result.groups = work.groups / merged;
  result.in = work.in * merged;
  result.out = work.out * merged;
  const std::int64_t taps = work.taps();
  result.weights = zeros(result.groups * result.out * result.in * taps);
  for_each_weight(work, [&](auto group, auto out, auto in, auto tap, float weight) {
    const std::int64_t row = group * work.out + out;
    const std::int64_t column = group % merged * work.in + in;
    result.weights[static_cast<std::size_t>((row * result.in + column) * taps + tap)] = weight;
  });
  return result;
}

ConvWork rounded_to_half(const ConvWork& work) {
  ConvWork result = work;
  const auto taps = static_cast<std::size_t>(work.taps());
  const auto in = static_cast<std::size_t>(work.in);
  std::vector<std::size_t> order(taps);
  for (std::size_t row = 0; row < work.weights.size(); row += in * taps) {
    double carry = 0;
    for (std::size_t first = row; first < row + in * taps; first += taps) {
      const float* weights = work.weights.data() + first;
      std::iota(order.begin(), order.end(), 0U);
      if (taps > 1) {
        std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
          return std::abs(weights[a]) > std::abs(weights[b]);
        });
      }
      for (const std::size_t tap : order) {
        const double weight = weights[tap];
        if (weight == 0) continue;
        const double unit = model::half_unit(static_cast<float>(weight));
        const double wanted = std::clamp(weight + carry, weight - unit, weight + unit);
        const float half =
            model::float_from_half(model::half_from_float(static_cast<float>(wanted)));
        result.weights[first + tap] = half;
        if (std::isfinite(half)) carry += weight - half;
      }
    }
  }
  return result;
}

ConvWork in_two_halves(const ConvWork& work) {
  const auto half = [](float value) {
    return model::float_from_half(model::half_from_float(value));
  };
  ConvWork result = work;
  result.in = 2 * work.in;
  result.weights = zeros(work.out * result.in);
  for_each_weight(work, [&](auto, auto out, auto in, auto, float weight) {
    float* row = result.weights.data() + out * result.in;
    const float high = half(weight);
    row[in] = high;
    if (std::isfinite(high)) row[work.in + in] = half(weight - high);
  });
  return result;
}

std::vector<float> tile_weights(const ConvWork& work, std::int64_t padded_in) {
  const std::int64_t taps = work.taps();
  std::vector<float> packed = zeros(work.groups * work.out * taps * padded_in);
  for_each_weight(work, [&](auto group, auto out, auto in, auto tap, float weight) {
    const std::int64_t row = group * work.out + out;
    packed[static_cast<std::size_t>((row * taps + tap) * padded_in + in)] = weight;
  });
  return packed;
}

std::vector<float> depthwise_weights(const ConvWork& work) {
  std::vector<float> packed = zeros(work.groups * work.taps());
  for_each_weight(work, [&](auto group, auto, auto, auto tap, float weight) {
    packed[static_cast<std::size_t>(tap * work.groups + group)] = weight;
  });
  return packed;
}

std::vector<float> row_weights(const ConvWork& work, std::int64_t padded) {
  const std::int64_t taps = work.taps();
  std::vector<float> packed = zeros(work.out * padded);
  for_each_weight(work, [&](auto, auto out, auto in, auto tap, float weight) {
    packed[static_cast<std::size_t>(out * padded + in * taps + tap)] = weight;
  });
  return packed;
}

std::vector<float> pixel_weights(const ConvWork& work, std::int64_t channels, std::int64_t padded) {
  std::vector<float> packed = zeros(work.out * padded);
  for_each_weight(work, [&](auto, auto out, auto in, auto tap, float weight) {
    packed[static_cast<std::size_t>(out * padded + tap * channels + in)] = weight;
  });
  return packed;
}

std::vector<float> strided_weights(const ConvWork& work) {
  const std::int64_t channels = work.groups * work.out;
  std::vector<float> packed = zeros(work.taps() * work.in * channels);
  for_each_weight(work, [&](auto group, auto out, auto in, auto tap, float weight) {
    const std::int64_t column = group * work.out + out;
    packed[static_cast<std::size_t>((tap * work.in + in) * channels + column)] = weight;
  });
  return packed;
}

Step conv_step(Lowering& to, const Node& node, const char* kernel, const ConvWork& work) {
  Step step = to.step(kernel, node);
  step.attributes.set("kernel", work.kernel);
  step.attributes.set("strides", work.stride);
  step.attributes.set("pads", work.pad);
  step.attributes.set("dilations", work.dilation);
  step.attributes.set("group", work.groups);
  return step;
}

Operand bias_operand(Lowering& to, const ConvWork& work) {
  if (work.bias.empty()) return {};
  return float_weight(to, work.bias, {static_cast<std::int64_t>(work.bias.size())});
}

namespace {

Step tile_step(Lowering& to, const Node& node, const ConvWork& work, const Operand& x,
               const Operand& residual, const Operand& y) {
  Step step = conv_step(to, node, "conv", work);
  const Operand weight =
      half_weight(to, tile_weights(rounded_to_half(work), work.in),
                  {work.groups, work.out, work.kernel[0], work.kernel[1], work.in});
  step.inputs = {x, weight, bias_operand(to, work), residual};
  step.outputs = {y};
  return step;
}

}  // namespace

void emit_conv(Lowering& to, const Node& node, const ConvWork& work,
               const std::vector<TileSource>& sources, const Operand& residual, const Operand& y) {
  Step step = tile_step(to, node, work, sources[0].picture, residual, y);
  if (sources.size() > 1) step.inputs.push_back(sources[1].picture);
  Ints shifts;
  for (const TileSource& each : sources) shifts.push_back(each.upsample_shift);
  if (shifts != Ints(shifts.size(), 0)) step.attributes.set("upsample_shifts", shifts);
  to.emit(std::move(step));
}

void emit_conv_blocks(Lowering& to, const Node& node, const ConvWork& work, const Operand& x,
                      const Ints& block, const Operand& y) {
  Step step = tile_step(to, node, work, x, {}, y);
  step.attributes.set("block", block);
  to.emit(std::move(step));
}

void emit_conv_strided(Lowering& to, const Node& node, const ConvWork& work, const Operand& x,
                       const Operand& residual, const Operand& y, const Ints& stretch) {
  Step step = conv_step(to, node, "conv_strided", work);
  if (!stretch.empty()) step.attributes.set("stretch", stretch);
  const Operand weight =
      float_weight(to, strided_weights(work), {work.taps(), work.in, work.groups, work.out});
  step.inputs = {x, weight, bias_operand(to, work), residual};
  step.outputs = {y};
  to.emit(std::move(step));
}

}  // namespace peregrine::cuda
