// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/heavy_on_host.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/element.h"
#include "engine/cuda/kernels/matmul.h"
#include "engine/cuda/kernels/pack.h"
#include "engine/cuda/ops/conv_work.h"
#include "model/reference/activation.h"

namespace peregrine::testing {
namespace {

using namespace peregrine::cuda;
using model::Epilogue;
using model::Ints;
using I = std::int64_t;

float load(const TensorView& view, I at) { return load_any<float>(view.data, view.dtype, at); }

I offset(const TensorView& view, const Ints& at) {
  I sum = 0;
  for (std::size_t i = 0; i < at.size(); ++i) sum += at[i] * view.strides[i];
  return sum;
}

// Calls f(position) for every position of `shape`.
void for_each(const Shape& shape, const std::function<void(const Ints&)>& f) {
  if (element_count(shape) == 0) return;
  Ints at(shape.size(), 0);
  for (;;) {
    f(at);
    std::size_t axis = shape.size();
    while (axis > 0 && ++at[axis - 1] == shape[axis - 1]) at[--axis] = 0;
    if (axis == 0) return;
  }
}

// Bias is in `sum` already.
void finish(const BoundStep& step, const TensorView& residual, const Ints& at, float sum) {
  const Epilogue& e = step.step.epilogue;
  const auto p = model::reference::activation_parameters(e.activation, e.activation_attributes);
  const float more = residual.data ? load(residual, offset(residual, at)) : 0.0F;
  const bool first = e.residual == Epilogue::Residual::kBeforeActivation;
  float value = model::reference::activate(e.activation, p, first ? sum + more : sum);
  if (!first) value += more;
  const TensorView& y = step.output();
  store_any(y.data, y.dtype, offset(y, at), value);
}

// Weight of (output channel, input channel of the group, tap) in the layout of each kernel.
using WeightAt = std::function<float(I out, I in, I tap)>;

// What the step reads, channel by channel: one picture, or two of which one may be enlarged.
struct Sources {
  explicit Sources(const BoundStep& step)
      : first(step.input(0)),
        second(step.input(4)),
        shifts(step.step.attributes.get_ints("upsample_shifts", {0, 0})),
        shape(first.shape) {
    for (std::size_t d = 2; d < shape.size(); ++d) shape[d] <<= shifts[0];
    if (second.data) shape[1] += second.shape[1];
  }
  float at(Ints from) const {
    const bool behind = from[1] >= first.shape[1];
    if (behind) from[1] -= first.shape[1];
    for (std::size_t d = 2; d < from.size(); ++d) from[d] >>= shifts[behind];
    const TensorView& view = behind ? second : first;
    return load(view, offset(view, from));
  }
  const TensorView &first, &second;
  Ints shifts;
  Shape shape;
};

void convolve(const BoundStep& step, const WeightAt& weight) {
  const model::Attributes& a = step.step.attributes;
  const Sources x(step);
  const TensorView &y = step.output(), &bias = step.input(2);
  const Ints kernel = a.get_ints("kernel"), stride = a.get_ints("strides"),
             pad = a.get_ints("pads"), dilation = a.get_ints("dilations");
  const Ints stretch = a.get_ints("stretch", Ints(kernel.size(), 1));
  const I groups = a.get_int("group", 1);
  const I in = x.shape[1] / groups, out = y.shape[1] / groups;
  for_each(y.shape, [&](const Ints& at) {
    float sum = bias.data ? load(bias, at[1]) : 0.0F;
    I tap = -1;
    for_each(kernel, [&](const Ints& k) {
      ++tap;
      Ints from{at[0], 0};
      for (std::size_t d = 0; d < kernel.size(); ++d) {
        const I position = at[d + 2] * stride[d] - pad[d] + k[d] * dilation[d];
        if (position < 0 || position % stretch[d] != 0 || position / stretch[d] >= x.shape[d + 2]) {
          return;
        }
        from.push_back(position / stretch[d]);
      }
      for (I c = 0; c < in; ++c) {
        from[1] = at[1] / out * in + c;
        sum += weight(at[1], c, tap) * x.at(from);
      }
    });
    finish(step, step.input(3), at, sum);
  });
}

// Each pixel becomes a block: channels of its first pixel first.
void conv_blocks(const BoundStep& step, const ConvParams& p) {
  const TensorView &x = step.input(0), &w = step.input(1), &y = step.output();
  for_each({x.shape[0], p.out_channels, p.out_height, p.out_width}, [&](const Ints& at) {
    const I part = at[1] / p.block_channels;
    float sum = step.input(2).data ? load(step.input(2), at[1]) : 0.0F;
    for (I c = 0; c < x.shape[1]; ++c) {
      sum += load(w, at[1] * x.shape[1] + c) * load(x, offset(x, {at[0], c, at[2], at[3]}));
    }
    const Ints to{at[0], at[1] % p.block_channels, at[2] * p.block_height + part / p.block_width,
                  at[3] * p.block_width + part % p.block_width};
    finish(step, {}, to, sum);
    EXPECT_EQ(offset(y, to), at[0] * p.output_image_stride + to[2] * p.output_row_stride +
                                 to[3] * p.output_stride + to[1]);
  });
}

// Where the kernel would write must be where the operand says.
void check_output_places(const BoundStep& step, const ConvParams& p) {
  const TensorView& y = step.output();
  const I pixels = I{p.out_height} * p.out_width;
  for_each({y.shape[0], y.shape[1], p.out_height, p.out_width}, [&](const Ints& at) {
    const I pixel = at[2] * p.out_width + at[3];
    const I image = p.output_image_stride != 0
                        ? at[0] * p.output_image_stride + pixel * p.output_stride
                        : (at[0] * pixels + pixel) * p.output_stride;
    EXPECT_EQ(offset(y, at), image + at[1] * p.output_channel_stride);
  });
}

void conv(const BoundStep& step) {
  const TensorView& w = step.input(1);
  const ConvParams p = conv_params(step);
  for (const ConvSource& source : p.source) EXPECT_EQ(source.pixel_stride % 8, 0);
  EXPECT_TRUE(conv_tile_supports(p));
  if (p.block_channels != 0) return conv_blocks(step, p);
  check_output_places(step, p);
  const I taps = p.kernel_height * p.kernel_width;
  convolve(step,
           [&](I out, I in, I tap) { return load(w, (out * taps + tap) * p.in_channels + in); });
}

void conv_depthwise(const BoundStep& step) {
  const ConvParams p = conv_params(step);
  EXPECT_TRUE(conv_depthwise_supports(p));
  convolve(step, [&](I out, I, I tap) { return load(step.input(1), tap * p.groups + out); });
}

void conv_stem(const BoundStep& step) {
  const ConvParams p = conv_params(step);
  EXPECT_TRUE(conv_stem_supports(p));
  const I taps = p.kernel_height * p.kernel_width, row = conv_stem_padded_reduction(p);
  const bool pixels = step.input(0).dtype == DType::kFloat16;
  convolve(step, [&](I out, I in, I tap) {
    return load(step.input(1), out * row + (pixels ? tap * p.in_channels + in : in * taps + tap));
  });
}

void conv_strided(const BoundStep& step) {
  const I groups = step.step.attributes.get_int("group", 1);
  const I in = step.input(0).shape[1] / groups, out = step.output().shape[1];
  convolve(step, [&](I channel, I c, I tap) {
    return load(step.input(1), (tap * in + c) * out + channel);
  });
}

I walked(I index, int rank, const std::array<FastDivisor, PackParams::kMaxRank>& extents,
         const std::array<I, PackParams::kMaxRank>& strides) {
  I at = 0;
  for (int d = 0; d < rank; ++d) {
    const I extent = d + 1 < rank ? extents[std::size_t(d)].divisor : index + 1;
    at += index % extent * strides[std::size_t(d)];
    index /= extent;
  }
  return at;
}

void pack(const BoundStep& step) {
  const TensorView &from = step.input(0), &to = step.output();
  const PackParams p = make_pack(from.shape, from.strides,
                                 int(step.step.attributes.get_int("row_axes", 1)), to.shape[1]);
  for (I row = 0; row < p.rows; ++row)
    for (I i = 0; i < p.padded; ++i) {
      const I at = walked(row, p.row_rank, p.row_extent, p.row_stride) +
                   walked(i, p.element_rank, p.element_extent, p.element_stride);
      store_any(to.data, to.dtype, row * p.padded + i, i < p.width ? load(from, at) : 0.0F);
    }
}

void matmul(const BoundStep& step) {
  const TensorView &a = step.input(0), &b = step.input(1), &bias = step.input(2);
  const MatmulParams p = make_matmul(a, b, bias, step.input(3), step.output());
  EXPECT_EQ(I(p.batches) * p.m * p.n, element_count(step.output().shape));
  const float alpha = step.step.attributes.get_float("alpha", 1),
              beta = step.step.attributes.get_float("beta", 1);
  for_each(step.output().shape, [&](const Ints& at) {
    Ints left = at, right = at;
    float sum = 0;
    for (I k = 0; k < p.k; ++k) {
      left.back() = right[right.size() - 2] = k;
      sum += load(a, offset(a, left)) * load(b, offset(b, right));
    }
    sum *= alpha;
    if (bias.data) sum += beta * load(bias, offset(bias, at));
    finish(step, step.input(3), at, sum);
  });
}

void attention(const BoundStep& step) {
  const TensorView &q = step.input(0), &k = step.input(1), &v = step.input(2),
                   &mask = step.input(3), &y = step.output();
  const model::Attributes& a = step.step.attributes;
  const float softcap = a.get_float("softcap", 0);
  for_each({q.shape[0], q.shape[1], q.shape[2]}, [&](const Ints& at) {
    const I shared = at[1] / (q.shape[1] / k.shape[1]);
    std::vector<float> weights;
    for (I j = 0; j < k.shape[2]; ++j) {
      float score = 0;
      for (I d = 0; d < q.shape[3]; ++d) {
        score += load(q, offset(q, {at[0], at[1], at[2], d})) *
                 load(k, offset(k, {at[0], shared, j, d}));
      }
      score *= a.get_float("scale", 1);
      constexpr float kNever = -std::numeric_limits<float>::infinity();
      if (mask.data) {
        const float m = load(mask, offset(mask, {at[0], at[1], at[2], j}));
        score += mask.dtype == DType::kBool ? (m != 0 ? 0 : kNever) : m;
      }
      if (a.get_int("causal", 0) != 0 && j > at[2] + a.get_int("past", 0)) score = kNever;
      weights.push_back(softcap > 0 ? softcap * std::tanh(score / softcap) : score);
    }
    const float largest = *std::max_element(weights.begin(), weights.end());
    float sum = 0;
    for (float& each : weights) sum += each = std::exp(each - largest);
    for (I d = 0; d < v.shape[3]; ++d) {
      float value = 0;
      for (I j = 0; j < k.shape[2]; ++j) {
        value += weights[std::size_t(j)] * load(v, offset(v, {at[0], shared, j, d}));
      }
      value /= sum;
      if (std::isinf(largest) && a.get_int("zero_if_masked", 0) != 0) value = 0;
      store_any(y.data, y.dtype, offset(y, {at[0], at[1], at[2], d}), value);
    }
  });
}

void pool(const BoundStep& step) {
  const TensorView &x = step.input(0), &y = step.output();
  const model::Attributes& a = step.step.attributes;
  const Ints plane(x.shape.begin() + 2, x.shape.end());
  const Ints ones(plane.size(), 1), none(plane.size(), 0);
  const Ints kernel = a.get_ints("kernel", plane), stride = a.get_ints("strides", ones),
             pad = a.get_ints("pads", none), pad_end = a.get_ints("pads_end", none),
             dilation = a.get_ints("dilations", ones);
  const std::string mode = a.get_string("mode", "");
  const auto power = static_cast<float>(a.get_int("p", 2));
  for_each(y.shape, [&](const Ints& at) {
    float best = -std::numeric_limits<float>::infinity(), sum = 0;
    I count = 0, where = -1;
    for_each(kernel, [&](const Ints& k) {
      Ints from{at[0], at[1]};
      I position = 0;
      bool inside = true, stated = true;
      for (std::size_t d = 0; d < kernel.size(); ++d) {
        const I p = at[d + 2] * stride[d] - pad[d] + k[d] * dilation[d];
        inside = inside && p >= 0 && p < plane[d];
        stated = stated && p < plane[d] + pad_end[d];
        from.push_back(p);
        position = position * plane[d] + p;
      }
      if (!inside) {
        count += stated && a.get_int("count_include_pad", 0) != 0 ? 1 : 0;
        return;
      }
      ++count;
      const float value = load(x, offset(x, from));
      sum += mode == "norm" ? std::pow(std::abs(value), power) : value;
      if (value > best) best = value, where = position;
    });
    const float result = mode == "max"    ? best
                         : mode == "norm" ? std::pow(sum, 1 / power)
                                          : sum / static_cast<float>(count);
    store_any(y.data, y.dtype, offset(y, at), result);
    if (step.outputs.size() < 2) return;
    if (a.get_int("storage_order", 0) != 0) {
      where = where % plane[1] * plane[0] + where / plane[1];
    }
    const TensorView& indices = step.output(1);
    store_any(indices.data, indices.dtype, offset(indices, at),
              (at[0] * x.shape[1] + at[1]) * element_count(plane) + where);
  });
}

void pool_chain(const BoundStep& step) {
  TensorView from = step.input(0);
  for (std::size_t i = 0; i < 3; ++i) {
    pool({step.step, std::span(&from, 1), step.outputs.subspan(i, 1)});
    from = step.output(i);
  }
}

void box_decode(const BoundStep& step) {
  const TensorView &logits = step.input(0), &scores = step.input(4), &y = step.output();
  const I bins = logits.shape[1] / 4, anchors = logits.shape[2];
  const auto part = [&](int input, I at) { return load(step.input(std::size_t(input)), at); };
  const auto distance = [&](const Ints& at, I side) {
    float largest = -std::numeric_limits<float>::infinity(), sum = 0, expected = 0;
    const auto logit = [&](I bin) {
      return load(logits, offset(logits, {at[0], side * bins + bin, at[2]}));
    };
    for (I bin = 0; bin < bins; ++bin) largest = std::max(largest, logit(bin));
    for (I bin = 0; bin < bins; ++bin) {
      const float share = std::exp(logit(bin) - largest);
      sum += share, expected += share * part(3, bin);
    }
    return expected / sum;
  };
  for_each(y.shape, [&](const Ints& at) {
    const I axis = at[1] % 2;
    float value = 0;
    if (at[1] < 4) {
      const float low = part(1, axis * anchors + at[2]) - distance(at, axis),
                  high = part(1, (axis + 2) * anchors + at[2]) + distance(at, axis + 2);
      const bool corners = step.step.attributes.get_int("corners", 0) != 0;
      value = corners ? (at[1] < 2 ? low : high) : at[1] < 2 ? (low + high) / 2 : high - low;
      value *= part(2, at[2]);
    } else {
      value = 1 / (1 + std::exp(-load(scores, offset(scores, {at[0], at[1] - 4, at[2]}))));
    }
    store_any(y.data, y.dtype, offset(y, at), value);
  });
}

}  // namespace

bool run_heavy_on_host(const BoundStep& step) {
  static const std::map<std::string, void (*)(const BoundStep&)> kernels{
      {"attention", attention},
      {"attention_strided", attention},
      {"box_decode", box_decode},
      {"conv", conv},
      {"conv_depthwise", conv_depthwise},
      {"conv_stem", conv_stem},
      {"conv_strided", conv_strided},
      {"global_pool", pool},
      {"matmul", matmul},
      {"matmul_float", matmul},
      {"pack", pack},
      {"pool", pool},
      {"pool_chain", pool_chain},
      {"pool_strided", pool}};
  const auto kernel = kernels.find(step.step.kernel);
  if (kernel == kernels.end()) return false;
  kernel->second(step);
  return true;
}

}  // namespace peregrine::testing
