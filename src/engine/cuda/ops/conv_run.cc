// SPDX-License-Identifier: Apache-2.0
// Steps of convolutions: operands to parameters, and the launch.
#include <algorithm>

#include "compiler/strided.h"
#include "engine/cuda/conv_tactics.h"
#include "engine/cuda/current_device.h"
#include "engine/cuda/kernels/conv_strided.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/epilogue.h"
#include "engine/cuda/ops/operands.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using model::Ints;

int narrow(std::int64_t value) { return static_cast<int>(value); }

int pixel_stride(const TensorView& view) {
  return narrow(compiler::pixel_stride(view.shape, view.strides).value_or(0));
}

ConvSource conv_source(const TensorView& x, std::int64_t upsample_shift) {
  return {x.data,
          narrow(x.shape[1]),
          pixel_stride(x),
          narrow(x.shape[2]),
          narrow(x.shape[3]),
          narrow(upsample_shift)};
}

// Each pixel of the result becomes a block of them.
void make_blocks(const Ints& block, const TensorView& y, ConvParams& p) {
  p.block_height = narrow(block[0]), p.block_width = narrow(block[1]);
  p.block_channels = p.out_channels;
  p.out_channels *= p.block_height * p.block_width;
  p.out_height /= p.block_height;
  p.out_width /= p.block_width;
  p.output_image_stride = y.strides[0];
  p.output_row_stride = y.strides[2];
}

StridedPicture strided_picture(const TensorView& view) {
  StridedPicture picture;
  picture.data = view.data;
  picture.half = view.dtype == DType::kFloat16;
  if (view.data) spread_strides(view.strides, picture.stride);
  return picture;
}

ConvStridedParams strided_params(const BoundStep& step) {
  const model::Attributes& a = step.step.attributes;
  const TensorView& x = step.input(0);
  const TensorView& y = step.output();
  ConvStridedParams p;
  p.input = strided_picture(x);
  p.weight = static_cast<const float*>(step.input(1).data);
  p.bias = static_cast<const float*>(step.input(2).data);
  p.residual = strided_picture(step.input(3));
  p.output = strided_picture(y);
  p.batch = narrow(x.shape[0]);
  p.groups = narrow(a.get_int("group", 1));
  p.in_channels = narrow(x.shape[1]) / p.groups;
  p.out_channels = narrow(y.shape[1]) / p.groups;
  spread(Ints(x.shape.begin() + 2, x.shape.end()), p.in);
  spread(Ints(y.shape.begin() + 2, y.shape.end()), p.out);
  spread(a.get_ints("kernel"), p.kernel);
  spread(a.get_ints("strides"), p.stride);
  spread(a.get_ints("pads"), p.pad);
  spread(a.get_ints("dilations"), p.dilation);
  spread(a.get_ints("stretch"), p.stretch);
  p.activation = activation_params(step.step.epilogue);
  p.residual_before_activation = residual_first(step.step.epilogue);
  return p;
}

}  // namespace

ConvParams conv_params(const BoundStep& step) {
  const model::Attributes& a = step.step.attributes;
  const TensorView& x = step.input(0);
  const TensorView& y = step.output();
  const TensorView& residual = step.input(3);
  const Ints kernel = a.get_ints("kernel"), stride = a.get_ints("strides"),
             pad = a.get_ints("pads"), dilation = a.get_ints("dilations");
  ConvParams p;
  const TensorView& second = step.input(4);
  const Ints shifts = a.get_ints("upsample_shifts", {0, 0});
  p.source[0] = conv_source(x, shifts[0]);
  if (second.data) p.source[1] = conv_source(second, shifts[1]);
  p.weight = step.input(1).data;
  p.bias = static_cast<const float*>(step.input(2).data);
  if (residual.data) {
    p.residual = residual.data;
    p.residual_stride = pixel_stride(residual);
  }
  p.output = y.data;
  // Pixels one stride apart through all images (of single pixels that stride is the image's), or
  // images of their own with planes or gaps.
  if (const auto uniform = compiler::pixel_stride(y.shape, y.strides)) {
    p.output_stride = narrow(*uniform);
  } else {
    p.output_stride = narrow(compiler::plane_pixel_stride(y.shape, y.strides).value_or(0));
    p.output_image_stride = y.strides[0];
    if (y.shape[1] > 1) p.output_channel_stride = y.strides[1];
  }
  p.output_fp32 = y.dtype == DType::kFloat32;
  p.batch = narrow(x.shape[0]);
  p.in_height = p.source[0].height << p.source[0].upsample_shift;
  p.in_width = p.source[0].width << p.source[0].upsample_shift;
  p.groups = narrow(a.get_int("group", 1));
  p.in_channels = (p.source[0].channels + p.source[1].channels) / p.groups;
  p.out_channels = narrow(y.shape[1]) / p.groups;
  p.out_height = narrow(y.shape[2]);
  p.out_width = narrow(y.shape[3]);
  if (const Ints block = a.get_ints("block"); !block.empty()) make_blocks(block, y, p);
  p.kernel_height = narrow(kernel[0]), p.kernel_width = narrow(kernel[1]);
  p.stride_y = narrow(stride[0]), p.stride_x = narrow(stride[1]);
  p.pad_top = narrow(pad[0]), p.pad_left = narrow(pad[1]);
  p.dilation_y = narrow(dilation[0]), p.dilation_x = narrow(dilation[1]);
  p.activation = activation_params(step.step.epilogue);
  p.residual_before_activation = residual_first(step.step.epilogue);
  return p;
}

std::vector<std::string> tactics_conv(const BoundStep& step, const DeviceInfo& device,
                                      std::size_t limit) {
  std::vector<std::string> names;
  for (const ConvTactic& tactic : conv_tactics(conv_params(step), false, device, limit)) {
    names.push_back(tactic.name);
  }
  return names;
}

void run_conv(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  const ConvParams p = conv_params(step);
  const std::string& name = step.step.tactic;
  const ConvTactic tactic =
      name.empty() ? conv_tactics(p, false, current_device(), 1).front() : named_conv_tactic(name);
  tactic.launch(p, step.overlapped, step.stream);
}

void run_conv_depthwise(const BoundStep& step) {
  launch_conv_depthwise(conv_params(step), step.overlapped, step.stream);
}

void run_conv_stem(const BoundStep& step) {
  launch_conv_stem(conv_params(step), step.overlapped, step.stream);
}

void run_conv_strided(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  launch_conv_strided(strided_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
