// SPDX-License-Identifier: Apache-2.0
// A convolution on its way to a kernel, whatever node it came from: Conv, a MatMul with constants
// (1x1 over rows), or a ConvTranspose that scatters (1x1 and a rearrangement).
#pragma once

#include <vector>

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/lowering.h"
#include "model/geometry.h"

namespace peregrine::cuda {

struct ConvWork {
  model::Ints kernel{1, 1}, stride{1, 1}, pad{0, 0}, dilation{1, 1};  ///< as many as spatial axes
  std::int64_t groups = 1;
  std::int64_t in = 0, out = 0;  ///< channels of one group
  std::vector<float> weights;    ///< [group][out][in][kernel...]: ONNX's order
  std::vector<float> bias;       ///< [group * out], or empty

  std::int64_t taps() const { return element_count(kernel); }
};

/// The fewest neighbouring groups that make one whose channels come in eights: the products with
/// the zeros between them cost less than leaving the tensor cores. `groups` when nothing does.
std::int64_t groups_to_merge(std::int64_t groups, std::int64_t in);
/// The same convolution with `merged` groups in one, zeros between them.
ConvWork merge_groups(const ConvWork& work, std::int64_t merged);

/// The weights as float16 holds them, each at most one unit in the last place away, such that the
/// errors of an output channel cancel: what one weight loses, the next ones make good (error
/// diffusion), taps of one input channel first, the large ones before the small. Activations have a
/// mean; rounded one by one, errors times that mean add up to a shift of every score.
ConvWork rounded_to_half(const ConvWork& work);
/// A 1x1 convolution whose inputs come twice: first the weights rounded to float16, then what they
/// lost, which makes 22 bits. Rounding the weights of a network's last layers is most of what its
/// boxes are off by (docs/engine-performance.md).
ConvWork in_two_halves(const ConvWork& work);
/// [group][out][tap][in], each group's channels padded with zeros to `padded_in`: what tile kernels
/// read.
std::vector<float> tile_weights(const ConvWork& work, std::int64_t padded_in);
/// [tap][channel]: what the depthwise kernel reads.
std::vector<float> depthwise_weights(const ConvWork& work);
/// [out][in, tap], padded with zeros to `padded` a row: the stem's, and those of patches.
std::vector<float> row_weights(const ConvWork& work, std::int64_t padded);
/// [out][tap, channel], padded with zeros to `channels` a tap and `padded` a row: the stem's over
/// pixels.
std::vector<float> pixel_weights(const ConvWork& work, std::int64_t channels, std::int64_t padded);
/// [tap][in][group][out]: what the strided kernel reads.
std::vector<float> strided_weights(const ConvWork& work);

/// A step with the window and the groups as attributes, and no operands yet.
compiler::Step conv_step(Lowering& to, const model::Node& node, const char* kernel,
                         const ConvWork& work);
/// FP32, absent where there is none.
compiler::Operand bias_operand(Lowering& to, const ConvWork& work);
/// A picture of FP16 (see `is_tile_picture`), read as if enlarged 2^upsample_shift times.
struct TileSource {
  compiler::Operand picture;
  int upsample_shift = 0;
};
/// The tile kernel over one or two sources, whose channels one after the other are work.in a group;
/// `residual` and `y` are pictures too, `y` FP16 or FP32.
void emit_conv(Lowering& to, const model::Node& node, const ConvWork& work,
               const std::vector<TileSource>& sources, const compiler::Operand& residual,
               const compiler::Operand& y);
/// A 1x1 one whose output channels are, part by part, the pixels of a `block` [rows, columns] of y.
void emit_conv_blocks(Lowering& to, const model::Node& node, const ConvWork& work,
                      const compiler::Operand& x, const model::Ints& block,
                      const compiler::Operand& y);
/// Any operands of one to three spatial axes, any strides. `stretch`: as in kernels/conv_strided.h.
void emit_conv_strided(Lowering& to, const model::Node& node, const ConvWork& work,
                       const compiler::Operand& x, const compiler::Operand& residual,
                       const compiler::Operand& y, const model::Ints& stretch = {});

/// What the picture kernels take, from a step's operands and attributes.
ConvParams conv_params(const BoundStep& step);

}  // namespace peregrine::cuda
