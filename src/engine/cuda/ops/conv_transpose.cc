// SPDX-License-Identifier: Apache-2.0
// ConvTranspose. With the stride of its kernel and no padding every input pixel makes a block of
// output pixels of its own: a 1x1 convolution that writes blocks, or one and a rearrangement where
// channels do not come in eights. Else the strided kernel, on an
// input stretched by the stride.
#include <algorithm>

#include "compiler/strided.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/pack.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;

namespace {

// ONNX's weights [in, out / groups, taps] as a convolution's [out, in / groups, taps], mirrored:
// the last tap first.
std::vector<float> mirrored_weights(const std::vector<float>& weights, const ConvWork& work) {
  const std::int64_t taps = work.taps();
  std::vector<float> result(weights.size());
  for (std::int64_t group = 0; group < work.groups; ++group)
    for (std::int64_t in = 0; in < work.in; ++in)
      for (std::int64_t out = 0; out < work.out; ++out)
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          const std::int64_t from = ((group * work.in + in) * work.out + out) * taps + tap;
          const std::int64_t to = ((group * work.out + out) * work.in + in) * taps + taps - 1 - tap;
          result[static_cast<std::size_t>(to)] = weights[static_cast<std::size_t>(from)];
        }
  return result;
}

bool makes_blocks(const model::ConvGeometry& g) {
  const model::Window& w = g.window;
  const auto zero = [](std::int64_t v) { return v == 0; };
  Ints whole = w.input;
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] *= w.stride[i];
  return g.groups == 1 && w.kernel.size() == 2 && w.stride == w.kernel && w.output == whole &&
         w.dilation == Ints{1, 1} && std::all_of(w.pad_begin.begin(), w.pad_begin.end(), zero);
}

// `pixels` [batch, height, width, ky, kx, out] into y [batch, out, height * ky, width * kx].
void emit_rearrangement(Lowering& to, const Node& node, const Operand& pixels, const Operand& y) {
  const Shape& s = pixels.shape;
  Operand place = y;
  place.shape = s;
  place.value.clear();
  place.strides = {y.strides[0], y.strides[2] * s[3], y.strides[3] * s[4],
                   y.strides[2], y.strides[3],        y.strides[1]};
  Step step = to.step("copy", node);
  step.epilogue = {};
  step.inputs = {pixels};
  step.outputs = {place};
  to.emit(std::move(step));
}

// Whether the tile kernel can put each pixel of a block in its place.
bool takes_blocks(const Operand& y) {
  const auto stride = compiler::image_pixel_stride(y.shape, y.strides);
  return stride && *stride % 8 == 0 && y.strides[0] % 8 == 0 && y.shape[1] % 8 == 0 &&
         y.offset % 16 == 0;
}

// The outputs of all taps as channels, tap by tap.
void lower_blocks(Lowering& to, const Node& node, const model::ConvGeometry& g,
                  const std::vector<float>& weights, const std::vector<float>& bias) {
  Operand x = to.read(node.input(0));
  const std::int64_t taps = element_count(g.window.kernel);
  const std::int64_t padded = round_up_8(g.channels_in);
  if (!is_tile_picture(x)) {
    Operand rows = pack_rows(to, node, permuted(x, {0, 2, 3, 1}), 3, padded);
    rows.shape = {x.shape[0], padded, x.shape[2], x.shape[3]};
    rows.strides = compiler::channels_last(rows.shape);
    x = rows;
  }
  ConvWork work;
  work.in = padded;
  work.out = g.channels_out * taps;
  work.weights.assign(static_cast<std::size_t>(work.out * padded), 0.0F);
  for (std::int64_t in = 0; in < g.channels_in; ++in)
    for (std::int64_t out = 0; out < g.channels_out; ++out)
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        work.weights[static_cast<std::size_t>((tap * g.channels_out + out) * padded + in)] =
            weights[static_cast<std::size_t>((in * g.channels_out + out) * taps + tap)];
      }
  for (std::int64_t tap = 0; tap < taps && !bias.empty(); ++tap) {
    work.bias.insert(work.bias.end(), bias.begin(), bias.end());
  }
  const Operand y = to.write(node.output());
  if (takes_blocks(y)) return emit_conv_blocks(to, node, work, x, g.window.kernel, y);
  Operand pixels = to.scratch(y.dtype, {x.shape[0], work.out, x.shape[2], x.shape[3]});
  pixels.strides = compiler::channels_last(pixels.shape);
  emit_conv(to, node, work, {{x}}, {}, pixels);
  pixels.shape = {x.shape[0],         x.shape[2],         x.shape[3],
                  g.window.kernel[0], g.window.kernel[1], g.channels_out};
  pixels.strides = packed_strides(pixels.shape);
  emit_rearrangement(to, node, pixels, y);
}

}  // namespace

void lower_conv_transpose(Lowering& to, const Node& node) {
  if (node.input(0)->dtype != DType::kFloat32) Lowering::refuse(node, "it convolves integers");
  const model::ConvGeometry g =
      model::conv_transpose_geometry(node, node.input(0)->shape, node.input(1)->shape);
  if (g.window.rank() > 3) Lowering::refuse(node, "it slides over more than three axes");
  const std::vector<float> weights = to.floats(node, 1);
  const std::vector<float> bias = node.has_input(2) ? to.floats(node, 2) : std::vector<float>();
  if (to.precision() == Precision::kFloat16 && makes_blocks(g)) {
    return lower_blocks(to, node, g, weights, bias);
  }
  ConvWork work;
  work.kernel = g.window.kernel;
  work.dilation = g.window.dilation;
  work.stride = Ints(work.kernel.size(), 1);
  work.pad.assign(work.kernel.size(), 0);
  for (std::size_t i = 0; i < work.pad.size(); ++i) {
    work.pad[i] = (work.kernel[i] - 1) * work.dilation[i] - g.window.pad_begin[i];
  }
  work.groups = g.groups;
  work.in = g.channels_in / g.groups;
  work.out = g.channels_out / g.groups;
  work.weights = mirrored_weights(weights, work);
  work.bias = bias;
  emit_conv_strided(to, node, work, to.read(node.input(0)), {}, to.write(node.output()),
                    g.window.stride);
}

}  // namespace peregrine::cuda
