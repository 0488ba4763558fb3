// SPDX-License-Identifier: Apache-2.0
// Convolutions and what packs pictures for them.
#include "compiler/strided.h"
#include "engine/cuda/checks/window.h"
#include "engine/cuda/ops/conv_work.h"

namespace peregrine::cuda {

using compiler::Operand;

namespace {

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

}  // namespace peregrine::cuda
