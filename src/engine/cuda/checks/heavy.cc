// SPDX-License-Identifier: Apache-2.0
// Convolutions, products, pools and attention.
#include <algorithm>

#include "compiler/strided.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/kernels/attention_strided.h"
#include "engine/cuda/kernels/box_decode.h"
#include "engine/cuda/kernels/pool.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/operands.h"

namespace peregrine::cuda {

using compiler::Operand;

namespace {

constexpr std::int64_t kMostBlocks = 65535;  // along y and z of a grid

// The window of a convolution or pool: positions that a kernel works out fit its integers.
struct CheckedWindow {
  model::Ints kernel;
  std::int64_t taps = 1;
};
CheckedWindow check_window(const CheckedStep& step, const Operand& x, const Operand& y) {
  step.require_rank(y, x.rank(), x.rank());
  const auto axes = static_cast<std::size_t>(x.rank() - 2);
  CheckedWindow window{step.numbers("kernel", axes, 1)};
  const model::Ints stride = step.numbers("strides", axes, 1);
  const model::Ints pad = step.numbers("pads", axes, -CheckedStep::kMost);
  const model::Ints dilation = step.numbers("dilations", axes, 1);
  for (std::size_t i = 0; i < axes; ++i) {
    step.require(x.shape[2 + i] <= CheckedStep::kMost && y.shape[2 + i] <= CheckedStep::kMost &&
                     y.shape[2 + i] * stride[i] - pad[i] + window.kernel[i] * dilation[i] <=
                         CheckedStep::kMost,
                 "its window is too large");
    window.taps *= window.kernel[i];  // each below 2^31, and so is what they were multiplied to
    step.require(window.taps <= CheckedStep::kMost, "its window is too large");
  }
  step.require(x.shape[0] == y.shape[0], "its result has another batch");
  return window;
}

// [batch, channels, y, x] of FP16, channels in eights and everything at multiples of 16 bytes.
void require_half_picture(const CheckedStep& step, const Operand& picture) {
  step.require_rank(picture, 4, 4);
  step.require(is_tile_picture(picture), "a picture is not FP16 with channels in eights");
}

// Groups divide the channels of both; checks bias and residual, and returns the groups.
std::int64_t check_channels(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  const std::int64_t groups = step.number("group", 1, 1);
  step.require(x.shape[1] <= CheckedStep::kMost && y.shape[1] <= CheckedStep::kMost &&
                   x.shape[1] % groups == 0 && y.shape[1] % groups == 0,
               "its groups do not divide its channels");
  if (const Operand& bias = step.optional_input(2); !bias.is_absent()) {
    step.require_constants(bias, DType::kFloat32, y.shape[1]);
  }
  if (const Operand& residual = step.optional_input(3); !residual.is_absent()) {
    step.require_same_shape(residual, y);
  }
  return groups;
}

// A convolution of the picture kernels.
void check_picture_conv(const CheckedStep& step, bool (*supports)(const ConvParams&),
                        std::int64_t (*weights)(const ConvParams&)) {
  const Operand &x = step.input(0), &y = step.output();
  step.require_rank(x, 4, 4);
  check_window(step, x, y);
  check_channels(step);
  step.require_float(y);
  step.require(compiler::plane_pixel_stride(y.shape, y.strides).value_or(CheckedStep::kMost + 1) <=
                   CheckedStep::kMost,
               "its result is no picture");
  if (const Operand& residual = step.optional_input(3); !residual.is_absent()) {
    step.require_dtype(residual, DType::kFloat16);
    step.require(compiler::pixel_stride(residual.shape, residual.strides).has_value(),
                 "its residual is no picture");
  }
  step.input(1);
  const AlignedStep aligned(step.step());
  const ConvParams params = conv_params(aligned.bound());
  step.require(supports(params), "the kernel does not take such a convolution");
  step.require_constants(step.input(1), DType::kFloat16, weights(params));
}

std::int64_t tile_weight_count(const ConvParams& p) {
  return std::int64_t{p.groups} * p.out_channels * p.reduction();
}

}  // namespace

namespace {

// A 1x1 convolution whose channels are blocks of pixels.
void check_conv_blocks(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  const model::Ints block = step.numbers("block", 2, 1, 64);
  const model::Ints ones{1, 1}, zeros{0, 0};
  const model::Attributes& a = step.step().attributes;
  step.require_rank(y, 4, 4);
  step.require_float(y);
  step.require(a.get_ints("kernel") == ones && a.get_ints("strides") == ones &&
                   a.get_ints("dilations") == ones && a.get_ints("pads") == zeros &&
                   a.get_int("group", 1) == 1 && step.optional_input(3).is_absent() &&
                   step.optional_input(4).is_absent(),
               "blocks are made by a plain 1x1 convolution only");
  step.require(x.shape[0] == y.shape[0] && x.shape[2] * block[0] == y.shape[2] &&
                   x.shape[3] * block[1] == y.shape[3],
               "its blocks do not make its result");
  const auto stride = compiler::image_pixel_stride(y.shape, y.strides);
  step.require(stride && *stride <= CheckedStep::kMost, "its result is no picture");
  const std::int64_t channels = y.shape[1] * block[0] * block[1];
  step.require(channels <= CheckedStep::kMost && x.shape[1] <= CheckedStep::kMost,
               "it has too many channels");
  if (const Operand& bias = step.optional_input(2); !bias.is_absent()) {
    step.require_constants(bias, DType::kFloat32, channels);
  }
  const ConvParams params = conv_params(AlignedStep(step.step()).bound());
  step.require(conv_tile_supports(params), "the kernel does not take such a convolution");
  step.require_constants(step.input(1), DType::kFloat16, tile_weight_count(params));
}

}  // namespace

void check_conv(const CheckedStep& step) {
  if (step.step().attributes.has("block")) {
    require_half_picture(step, step.input(0));
    return check_conv_blocks(step);
  }
  const Operand &first = step.input(0), &second = step.optional_input(4);
  require_half_picture(step, first);
  model::Ints shifts{0, 0};
  if (step.step().attributes.has("upsample_shifts")) {
    shifts = step.numbers("upsample_shifts", second.is_absent() ? 1 : 2, 0, 3);
  }
  for (const std::size_t axis : {2U, 3U}) {
    step.require(first.shape[axis] << shifts[0] <= CheckedStep::kMost,
                 "its enlarged picture is too large");
  }
  if (!second.is_absent()) {
    require_half_picture(step, second);
    step.require(step.number("group", 1, 1) == 1, "groups do not read two pictures");
    step.require(first.shape[0] == second.shape[0] &&
                     first.shape[2] << shifts[0] == second.shape[2] << shifts[1] &&
                     first.shape[3] << shifts[0] == second.shape[3] << shifts[1],
                 "its two pictures are not of one size");
  }
  check_picture_conv(step, conv_tile_supports, tile_weight_count);
}

void check_conv_depthwise(const CheckedStep& step) {
  require_half_picture(step, step.input(0));
  require_half_picture(step, step.output());
  if (const Operand& residual = step.optional_input(3); !residual.is_absent()) {
    require_half_picture(step, residual);
  }
  check_picture_conv(step, conv_depthwise_supports, tile_weight_count);
}

void check_conv_stem(const CheckedStep& step) {
  const Operand& x = step.input(0);
  if (x.dtype == DType::kFloat16) {
    step.require(x.rank() == 4 && compiler::pixel_stride(x.shape, x.strides) == x.shape[1] &&
                     x.shape[1] == 4 && x.offset % 16 == 0,
                 "its pixels are not packed");
  } else {
    step.require_constants(x, DType::kFloat32, 0);
    step.require(compiler::pixel_stride(x.shape, x.strides).value_or(0) != 4,
                 "its planes look like pixels");
  }
  require_half_picture(step, step.output());
  check_picture_conv(step, conv_stem_supports, [](const ConvParams& p) {
    return std::int64_t{p.out_channels} * conv_stem_padded_reduction(p);
  });
}

void check_conv_strided(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  step.require_rank(x, 3, 5);
  const CheckedWindow window = check_window(step, x, y);
  const std::int64_t groups = check_channels(step);
  step.require_float(x);
  step.require_float(y);
  if (const Operand& residual = step.optional_input(3); !residual.is_absent()) {
    step.require_float(residual);
  }
  if (step.step().attributes.has("stretch")) step.numbers("stretch", window.kernel.size(), 1);
  const Shape weights{window.taps, x.shape[1] / groups, y.shape[1]};
  step.require_constants(step.input(1), DType::kFloat32, element_count(weights));
}

void check_pack(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  step.require_float(x);
  step.require_rank(y, 2, 2);
  step.require_constants(y, DType::kFloat16, 0);
  const auto split = static_cast<std::size_t>(step.number("row_axes", 1, 0, x.rank()));
  const std::span<const std::int64_t> shape(x.shape);
  step.require(element_count(shape.first(split)) == y.shape[0] &&
                   element_count(shape.subspan(split)) <= y.shape[1] && y.shape[1] % 8 == 0,
               "its rows do not fit");
}

namespace {

void check_product(const CheckedStep& step) {
  const Operand &a = step.input(0), &b = step.input(1), &y = step.output();
  step.require_rank(y, 2, 16);
  for (const Operand* each : {&a, &b, &y}) step.require_float(*each);
  Shape left = y.shape, right = y.shape;
  step.require_rank(a, y.rank(), y.rank());
  left.back() = right[right.size() - 2] = a.shape.back();
  step.require(a.shape == left && b.shape == right, "its matrices do not fit each other");
  for (const std::size_t i : {2U, 3U}) {
    if (step.optional_input(i).is_absent()) continue;
    step.require_float(step.input(i));
    step.require_same_shape(step.input(i), y);
  }
}

}  // namespace

void check_matmul(const CheckedStep& step) { check_product(step); }
void check_matmul_float(const CheckedStep& step) { check_product(step); }

void check_pool(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  require_half_picture(step, x);
  require_half_picture(step, y);
  check_window(step, x, y);
  step.require(x.shape[1] == y.shape[1], "its result has other channels");
}

void check_pool_chain(const CheckedStep& step) {
  const Operand& x = step.input(0);
  require_half_picture(step, x);
  for (const std::size_t i : {0U, 1U, 2U}) {
    require_half_picture(step, step.output(i));
    step.require_same_shape(step.output(i), x);
    step.require(step.output(i).strides == step.output(0).strides, "its results lie differently");
  }
  step.require(element_count(x.shape) <= CheckedStep::kMost && x.shape[0] <= kMostBlocks,
               "its picture is too large");
  PoolChainParams p;
  p.channels = static_cast<int>(x.shape[1]);
  p.height = static_cast<int>(x.shape[2]);
  p.width = static_cast<int>(x.shape[3]);
  p.kernel = static_cast<int>(step.numbers("kernel", 2, 1)[0]);
  step.require(pool_chain_supports(p), "the kernel does not take such a picture");
}

void check_global_pool(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  require_half_picture(step, x);
  step.require_float(y);
  step.require_rank(y, 4, 4);
  step.require(y.shape == Shape{x.shape[0], x.shape[1], 1, 1} &&
                   (y.shape[1] == 1 || y.strides[1] == 1) && x.shape[0] <= kMostBlocks &&
                   x.shape[2] * x.shape[3] <= CheckedStep::kMost,
               "its result does not fit its pictures");
}

void check_pool_strided(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  step.require_rank(x, 3, 5);
  step.require_float(x);
  step.require_float(y);
  const CheckedWindow window = check_window(step, x, y);
  step.numbers("pads_end", window.kernel.size(), -CheckedStep::kMost);
  step.require(x.shape[1] == y.shape[1], "its result has other channels");
  if (const Operand& indices = step.optional_output(1); !indices.is_absent()) {
    step.require_same_shape(indices, y);
    step.require_dtype(indices, DType::kInt64);
  }
}

namespace {

// [batch, head, token, depth] each; several heads may share a key.
void check_heads(const CheckedStep& step) {
  const Operand &q = step.input(0), &k = step.input(1), &v = step.input(2), &y = step.output();
  for (const Operand* each : {&q, &k, &v, &y}) {
    step.require_rank(*each, 4, 4);
    step.require_float(*each);
  }
  const std::int64_t heads = q.shape[1], of_keys = k.shape[1];
  step.require(of_keys > 0 && heads % of_keys == 0 && q.shape[0] <= kMostBlocks &&
                   heads <= kMostBlocks && q.shape[2] <= CheckedStep::kMost &&
                   k.shape[2] <= CheckedStep::kMost,
               "it has too many heads, or shares keys unevenly");
  step.require(k.shape == Shape{q.shape[0], of_keys, k.shape[2], q.shape[3]} &&
                   v.shape == Shape{q.shape[0], of_keys, k.shape[2], v.shape[3]} &&
                   y.shape == Shape{q.shape[0], heads, q.shape[2], v.shape[3]},
               "its queries, keys and values do not fit each other");
  step.require(q.shape[3] <= kAttentionStridedLimit && v.shape[3] <= kAttentionStridedLimit,
               "its heads are too wide");
  step.number("past", 0, 0, CheckedStep::kMost - q.shape[2]);
  const Operand& mask = step.optional_input(3);
  if (mask.is_absent()) return;
  if (mask.dtype != DType::kBool) step.require_float(mask);
  step.require(mask.shape == Shape{q.shape[0], heads, q.shape[2], k.shape[2]},
               "its mask does not fit its scores");
}

}  // namespace

void check_attention(const CheckedStep& step) {
  check_heads(step);
  for (const Operand* each : {&step.input(0), &step.input(1), &step.input(2), &step.output()}) {
    step.require(is_aligned_half(*each, 3), "an operand is not FP16 in eights");
  }
  AttentionParams p;
  p.query_width = static_cast<int>(step.input(0).shape[3]);
  p.value_width = static_cast<int>(step.input(2).shape[3]);
  step.require(attention_supports(p), "no kernel takes such heads");
}

void check_attention_strided(const CheckedStep& step) { check_heads(step); }

void check_box_decode(const CheckedStep& step) {
  const Operand &logits = step.input(0), &y = step.output();
  for (const Operand* each : {&logits, &y}) {
    step.require_rank(*each, 3, 3);
    step.require_dtype(*each, DType::kFloat32);
  }
  const std::int64_t images = logits.shape[0], anchors = logits.shape[2],
                     bins = logits.shape[1] / 4;
  step.require(images <= kMostBlocks && anchors <= CheckedStep::kMost && bins >= 1 &&
                   bins <= kMostBoxBins && logits.shape[1] == 4 * bins,
               "its distances have an odd number of bins");
  step.require_constants(step.input(1), DType::kFloat32, 4 * anchors);
  step.require_constants(step.input(2), DType::kFloat32, anchors);
  step.require_constants(step.input(3), DType::kFloat32, bins);
  std::int64_t classes = 0;
  if (const Operand& scores = step.optional_input(4); !scores.is_absent()) {
    step.require_rank(scores, 3, 3);
    step.require_dtype(scores, DType::kFloat32);
    classes = scores.shape[1];
    step.require(scores.shape == Shape{images, classes, anchors},
                 "its scores do not fit its boxes");
  }
  step.require(y.shape == Shape{images, 4 + classes, anchors}, "its result does not fit its boxes");
}

}  // namespace peregrine::cuda
