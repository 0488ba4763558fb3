// SPDX-License-Identifier: Apache-2.0
// Conv. In an FP16 plan nearly all run on tensor cores, if need be after one packing step that pads
// channels; pictures of the caller go through the stem or are cut into patches. The FP32 plan, and
// sums over channels of FP32 results, take the strided kernel.
#include <algorithm>
#include <optional>

#include "compiler/strided.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/pack.h"
#include "model/convert.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;
using model::Value;

namespace {

ConvWork read_work(Lowering& to, const Node& node) {
  const model::ConvGeometry g =
      model::conv_geometry(node, node.input(0)->shape, node.input(1)->shape);
  ConvWork work;
  work.kernel = g.window.kernel;
  work.stride = g.window.stride;
  work.pad = g.window.pad_begin;
  work.dilation = g.window.dilation;
  work.groups = g.groups;
  work.in = g.channels_in / g.groups;
  work.out = g.channels_out / g.groups;
  work.weights = to.floats(node, 1);
  if (node.has_input(2)) work.bias = to.floats(node, 2);
  return work;
}

// A convolution along one axis as one over pictures of height 1.
void make_planar(ConvWork& work) {
  if (work.kernel.size() != 1) return;
  work.kernel.insert(work.kernel.begin(), 1);
  work.stride.insert(work.stride.begin(), 1);
  work.pad.insert(work.pad.begin(), 0);
  work.dilation.insert(work.dilation.begin(), 1);
}

// What the kernel's own check says, on addresses that only have the right alignment.
bool supports(bool (*check)(const ConvParams&), const Step& step) {
  return check(conv_params(AlignedStep(step).bound()));
}

// The place of y without asking for one: where a kernel must be content with it.
bool is_half_picture(const Operand& y) {
  const auto stride = compiler::pixel_stride(y.shape, y.strides);
  return y.dtype == DType::kFloat16 && stride && *stride % 8 == 0 && y.offset % 16 == 0;
}

// The caller's pixels of four halves, of which the model sees three: the kernel reads all four.
std::optional<Operand> whole_pixels(const Operand& x) {
  if (x.region != compiler::Region::kInput || x.dtype != DType::kFloat16 || x.offset != 0 ||
      x.rank() != 4 || x.shape[1] != 3 || compiler::pixel_stride(x.shape, x.strides) != 4) {
    return std::nullopt;
  }
  Operand whole = x;
  whole.shape[1] = 4;
  whole.value.clear();
  return whole;
}

bool lower_stem(Lowering& to, const Node& node, const ConvWork& work, const Operand& x) {
  const Operand y = as_picture(to.write(node.output()));
  const std::optional<Operand> pixels = whole_pixels(x);
  const bool planes = x.dtype == DType::kFloat32 && work.in == 3 &&
                      compiler::is_packed(x.shape, x.strides) && x.offset % 16 == 0;
  if ((!planes && !pixels) || node.has_input(3) || !is_half_picture(y) || work.groups != 1) {
    return false;
  }
  Step step = conv_step(to, node, "conv_stem", work);
  step.inputs = {pixels.value_or(x), {}, {}};
  step.outputs = {y};
  if (!supports(conv_stem_supports, step)) return false;
  const std::int64_t channels = pixels ? 4 : work.in;
  const std::int64_t padded = (channels * work.taps() + 15) / 16 * 16;
  const ConvWork rounded = rounded_to_half(work);
  const std::vector<float> rows =
      pixels ? pixel_weights(rounded, channels, padded) : row_weights(rounded, padded);
  step.inputs[1] = half_weight(to, rows, {work.out, padded});
  step.inputs[2] = bias_operand(to, work);
  to.emit(std::move(step));
  return true;
}

bool lower_depthwise(Lowering& to, const Node& node, const ConvWork& work,
                     const Operand& residual) {
  if (work.in != 1 || work.out != 1 || work.groups % 8 != 0) return false;
  const Operand y = as_picture(to.write(node.output()));
  if (!is_half_picture(y) || (!residual.is_absent() && !is_half_picture(residual))) return false;
  const Value* input = node.input(0);
  Operand x = as_picture(to.read(input));
  Step step = conv_step(to, node, "conv_depthwise", work);
  step.inputs = {x, {}, {}, residual};
  step.outputs = {y};
  const bool ready = is_tile_picture(x);
  if (!ready) step.inputs[0].strides = compiler::channels_last(x.shape);
  if (!supports(conv_depthwise_supports, step)) return false;
  if (!ready) {
    step.inputs[0] = to.copied(x, DType::kFloat16, compiler::channels_last(x.shape));
  }
  step.inputs[1] = half_weight(to, depthwise_weights(rounded_to_half(work)),
                               {work.kernel[0], work.kernel[1], work.groups});
  step.inputs[2] = bias_operand(to, work);
  to.emit(std::move(step));
  return true;
}

// Windows side by side cut the picture into patches: rows of a matrix (ViT's first layer).
bool is_patches(const ConvWork& work) {
  return work.groups == 1 && work.stride == work.kernel && work.taps() > 1 &&
         work.pad == Ints{0, 0} && work.dilation == Ints{1, 1};
}

// Pixels of `x` as packed FP16, channels padded to eights.
Operand packed_picture(Lowering& to, const Node& node, const Operand& x) {
  const std::int64_t padded = round_up_8(x.shape[1]);
  const Operand rows = pack_rows(to, node, permuted(x, {0, 2, 3, 1}), 3, padded);
  Operand picture = rows;
  picture.shape = {x.shape[0], padded, x.shape[2], x.shape[3]};
  picture.strides = compiler::channels_last(picture.shape);
  return picture;
}

// Each patch of `x` as one pixel whose channels are (channel, y, x) of the patch.
Operand packed_patches(Lowering& to, const Node& node, const ConvWork& work, const Operand& x) {
  const std::int64_t rows = node.output()->shape[2];
  const std::int64_t columns = node.output()->rank() == 4 ? node.output()->shape[3] : rows;
  const std::int64_t height = node.output()->rank() == 4 ? rows : 1;
  Operand patches = x;
  patches.shape = {x.shape[0], height, columns, x.shape[1], work.kernel[0], work.kernel[1]};
  patches.strides = {x.strides[0],
                     x.strides[2] * work.stride[0],
                     x.strides[3] * work.stride[1],
                     x.strides[1],
                     x.strides[2],
                     x.strides[3]};
  const std::int64_t padded = round_up_8(work.in * work.taps());
  Operand picture = pack_rows(to, node, patches, 3, padded);
  picture.shape = {x.shape[0], padded, height, columns};
  picture.strides = compiler::channels_last(picture.shape);
  return picture;
}

// `work` with the input channels of its only group padded to `padded`.
ConvWork with_padded_input(const ConvWork& work, std::int64_t padded) {
  if (work.in == padded) return work;
  ConvWork result = work;
  result.in = padded;
  const std::int64_t taps = work.taps();
  result.weights.assign(static_cast<std::size_t>(work.out * padded * taps), 0.0F);
  for (std::int64_t out = 0; out < work.out; ++out) {
    std::copy_n(work.weights.begin() + out * work.in * taps, work.in * taps,
                result.weights.begin() + out * padded * taps);
  }
  return result;
}

// A 1x1 convolution over packed patches.
ConvWork over_patches(const ConvWork& work) {
  ConvWork flat;
  flat.in = work.in * work.taps();
  flat.out = work.out;
  flat.weights = work.weights;
  flat.bias = work.bias;
  return with_padded_input(flat, round_up_8(flat.in));
}

// So little that a packing step in front costs more than all of it on plain arithmetic: the gates
// of squeeze-and-excitation, one pixel a picture.
bool is_tiny(const Node& node, const ConvWork& work) {
  const Shape& y = node.output()->shape;
  return work.in * work.taps() <= 64 && element_count(std::span(y).subspan(2)) == 1;
}

void lower_strided(Lowering& to, const Node& node, const ConvWork& work) {
  const Operand residual = to.read(node.input(3));
  emit_conv_strided(to, node, work, to.read(node.input(0)), residual, to.write(node.output()));
}

void lower_tile(Lowering& to, const Node& node, const ConvWork& original) {
  const Operand residual = as_picture(to.read_picture(node.input(3), DType::kFloat16));
  if (lower_depthwise(to, node, original, residual)) return;
  Operand x = as_picture(to.read(node.input(0)));
  ConvWork work = original;
  if (work.groups > 1) work = merge_groups(work, groups_to_merge(work.groups, work.in));
  if (is_patches(work) && !is_tile_picture(x)) {
    x = packed_patches(to, node, work, x);
    work = over_patches(work);
  } else if (!is_tile_picture(x)) {
    x = packed_picture(to, node, x);
    if (work.groups == 1) work = with_padded_input(work, x.shape[1]);
  }
  const Operand y = as_picture(to.write_images(node.output(), to.dtype(node.output())));
  // What boxes and scores are made of: the picture is read twice, by weights in two halves.
  const bool result =
      y.dtype == DType::kFloat32 && node.epilogue.activation == model::Op::kIdentity;
  if (result && work.groups == 1 && work.taps() == 1) {
    return emit_conv(to, node, in_two_halves(work), {{x}, {x}}, residual, y);
  }
  emit_conv(to, node, work, {{x}}, residual, y);
}

// What the input is made of, read where it lies.
void lower_sources(Lowering& to, const Node& node, const ConvWork& work) {
  std::vector<TileSource> sources;
  for (const PictureSource& each : to.sources(node)) {
    Operand picture = to.read_picture(each.value, DType::kFloat16);
    if (!is_tile_picture(picture)) {
      picture = to.copied(picture, DType::kFloat16, compiler::channels_last(picture.shape));
    }
    sources.push_back({picture, each.upsample_shift});
  }
  const Operand residual = to.read_picture(node.input(3), DType::kFloat16);
  emit_conv(to, node, work, sources, residual,
            to.write_images(node.output(), to.dtype(node.output())));
}

}  // namespace

void lower_conv(Lowering& to, const Node& node) {
  const Value* x = node.input(0);
  if (!model::is_float(x->dtype)) Lowering::refuse(node, "it convolves integers");
  ConvWork work = read_work(to, node);
  const std::size_t axes = work.kernel.size();
  if (axes > 3) Lowering::refuse(node, "it slides over more than three axes");
  if (element_count(x->shape) >= std::int64_t{1} << 31 ||
      element_count(node.output()->shape) >= std::int64_t{1} << 31) {
    Lowering::refuse(node, "a picture of 2^31 elements or more needs a smaller batch");
  }
  // Past this, zeros between merged groups would be nearly all of the product.
  constexpr std::int64_t kMostMerged = 32;
  const bool tile = to.precision() == Precision::kFloat16 && axes <= 2 &&
                    (node.output()->shape[1] > 1 || to.dtype(x) == DType::kFloat16) &&
                    groups_to_merge(work.groups, work.in) <= kMostMerged;
  const bool packs = work.groups == 1 && work.in % 8 != 0;
  if (!tile || (packs && is_tiny(node, work))) return lower_strided(to, node, work);
  make_planar(work);
  if (!to.sources(node).empty()) return lower_sources(to, node, work);
  if (lower_stem(to, node, work, as_picture(to.read(x)))) return;
  lower_tile(to, node, work);
}

}  // namespace peregrine::cuda
