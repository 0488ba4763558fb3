// SPDX-License-Identifier: Apache-2.0
// Pools. FP16 pictures with channels in eights take the vector kernels, YOLO's SPPF one kernel for
// its three pools; all else the strided kernel.
#include <algorithm>
#include <array>

#include "compiler/strided.h"
#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/pool.h"
#include "engine/cuda/kernels/pool_strided.h"
#include "engine/cuda/ops/operands.h"
#include "model/geometry.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;
using model::Op;
using model::Value;

namespace {

Step window_step(Lowering& to, const Node& node, const char* kernel, const model::Window& w,
                 const char* mode) {
  Step step = to.step(kernel, node);
  step.attributes.set("kernel", w.kernel);
  step.attributes.set("strides", w.stride);
  step.attributes.set("pads", w.pad_begin);
  step.attributes.set("pads_end", w.pad_end);
  step.attributes.set("dilations", w.dilation);
  step.attributes.set("mode", std::string(mode));
  return step;
}

const char* mode_of(Op op) {
  switch (op) {
    case Op::kMaxPool:
    case Op::kGlobalMaxPool: return "max";
    case Op::kAveragePool:
    case Op::kGlobalAveragePool: return "average";
    default: return "norm";
  }
}

// The fast kernel divides by the whole window or by what is inside the picture, and knows no
// partial window behind the padding.
bool takes_vectors(const Node& node, const model::Window& w, const Operand& x, const Operand& y) {
  if (!is_tile_picture(x) || !is_tile_picture(y) || is_wanted(node, 1)) return false;
  if (node.op() == Op::kMaxPool) return true;
  if (node.op() != Op::kAveragePool) return false;
  for (std::size_t i = 0; i < w.kernel.size(); ++i) {
    const std::int64_t reach =
        (w.output[i] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1;
    if (reach > w.input[i] + w.pad_begin[i] + w.pad_end[i]) return false;
  }
  return true;
}

void lower_strided(Lowering& to, const Node& node, const model::Window& w) {
  const Value* input = node.input(0);
  if (input->dtype != DType::kFloat32) Lowering::refuse(node, "it pools integers");
  if (w.rank() > 3) Lowering::refuse(node, "it slides over more than three axes");
  Step step = window_step(to, node, "pool_strided", w, mode_of(node.op()));
  step.attributes.set("count_include_pad", node.attributes.get_int("count_include_pad", 0));
  step.attributes.set("storage_order", node.attributes.get_int("storage_order", 0));
  step.attributes.set("p", node.attributes.get_int("p", 2));
  step.inputs = {to.read(input)};
  step.outputs = {to.write(node.output())};
  if (is_wanted(node, 1)) step.outputs.push_back(to.write(node.outputs()[1]));
  to.emit(std::move(step));
}

bool is_same_pool(const Node& a, const Node& b) {
  const model::Window v = model::pool_window(a, a.input(0)->shape);
  const model::Window w = model::pool_window(b, b.input(0)->shape);
  return v.kernel == w.kernel && v.stride == w.stride && v.dilation == w.dilation &&
         v.pad_begin == w.pad_begin && v.pad_end == w.pad_end && v.output == w.output;
}

// Square odd window, stride 1, padded so that nothing shrinks.
bool is_chain_pool(const Node& node) {
  if (node.op() != Op::kMaxPool || node.input(0)->rank() != 4 || is_wanted(node, 1)) {
    return false;
  }
  const model::Window w = model::pool_window(node, node.input(0)->shape);
  const Ints reach{w.kernel[0] / 2, w.kernel[0] / 2};
  return w.kernel[0] == w.kernel[1] && w.kernel[0] % 2 == 1 && w.stride == Ints{1, 1} &&
         w.dilation == Ints{1, 1} && w.pad_begin == reach && w.pad_end == reach;
}

// The pool of the same kind that reads this one's output: none when two do.
const Node* next_in_chain(const Node& node) {
  const Node* next = nullptr;
  for (const Node* reader : node.output()->readers()) {
    if (!is_chain_pool(*reader) || !is_same_pool(node, *reader)) continue;
    if (next) return nullptr;
    next = reader;
  }
  return next;
}

const Node* previous_in_chain(const Node& node) {
  const Node* before = node.input(0)->producer();
  return before && is_chain_pool(*before) && next_in_chain(*before) == &node ? before : nullptr;
}

// The three pools that `node` is one of: every three in a row from the first of the chain on.
std::array<const Node*, 3> chain_of(const Node& node) {
  if (!is_chain_pool(node)) return {};
  int position = 0;
  for (const Node* at = previous_in_chain(node); at; at = previous_in_chain(*at)) ++position;
  std::array<const Node*, 3> chain{};
  const Node* first = &node;
  for (int i = 0; i < position % 3; ++i) first = previous_in_chain(*first);
  for (const Node*& each : chain) {
    if (!first) return {};
    each = first;
    first = next_in_chain(*first);
  }
  return chain;
}

PoolChainParams chain_params(const BoundStep& step) {
  const TensorView& x = step.input(0);
  PoolChainParams p;
  p.input = x.data;
  p.input_stride = static_cast<int>(compiler::pixel_stride(x.shape, x.strides).value_or(0));
  for (std::size_t i = 0; i < 3; ++i) p.output[i] = step.output(i).data;
  p.output_stride = static_cast<int>(
      compiler::pixel_stride(step.output().shape, step.output().strides).value_or(0));
  p.batch = static_cast<int>(x.shape[0]);
  p.channels = static_cast<int>(x.shape[1]);
  p.height = static_cast<int>(x.shape[2]);
  p.width = static_cast<int>(x.shape[3]);
  p.kernel = static_cast<int>(step.step.attributes.get_ints("kernel")[0]);
  return p;
}

// True when the node's work is done by a chain, which the first of the three emits.
bool lower_chain(Lowering& to, const Node& node) {
  const auto chain = chain_of(node);
  if (!chain[0]) return false;
  const model::Window w = model::pool_window(node, node.input(0)->shape);
  Step step = window_step(to, *chain[0], "pool_chain", w, "max");
  step.inputs = {to.read(chain[0]->input(0))};
  for (const Node* each : chain) {
    step.outputs.push_back(to.write(each->output()));
    if (each != chain[0]) {
      step.origins.insert(step.origins.end(), each->origins().begin(), each->origins().end());
    }
  }
  std::vector<TensorView> inputs{alignment_view(step.inputs[0])}, outputs;
  for (const Operand& each : step.outputs) outputs.push_back(alignment_view(each));
  const bool fits = is_tile_picture(step.inputs[0]) &&
                    std::all_of(step.outputs.begin(), step.outputs.end(),
                                [&](const Operand& y) {
                                  return is_tile_picture(y) && y.strides == step.outputs[0].strides;
                                }) &&
                    pool_chain_supports(chain_params({step, inputs, outputs}));
  if (fits && &node == chain[0]) to.emit(std::move(step));
  return fits;
}

int narrow(std::int64_t value) { return static_cast<int>(value); }

}  // namespace

void lower_pool(Lowering& to, const Node& node) {
  const model::Window w = model::pool_window(node, node.input(0)->shape);
  if (lower_chain(to, node)) return;
  const Operand x = to.read(node.input(0)), y = to.write(node.output());
  if (!takes_vectors(node, w, x, y)) return lower_strided(to, node, w);
  Step step = window_step(to, node, "pool", w, mode_of(node.op()));
  step.attributes.set("count_include_pad", node.attributes.get_int("count_include_pad", 0));
  step.inputs = {x};
  step.outputs = {y};
  to.emit(std::move(step));
}

void lower_global_pool(Lowering& to, const Node& node) {
  const Operand x = to.read(node.input(0)), y = to.write(node.output());
  const bool channels_together = y.shape[1] == 1 || y.strides[1] == 1;
  if (is_tile_picture(x) && channels_together && node.op() != Op::kGlobalLpPool &&
      x.shape[0] <= 65535) {
    Step step = to.step("global_pool", node);
    step.attributes.set("mode", std::string(mode_of(node.op())));
    step.inputs = {x};
    step.outputs = {y};
    return to.emit(std::move(step));
  }
  const Shape& shape = node.input(0)->shape;
  model::Window w;
  w.kernel = w.input = Ints(shape.begin() + 2, shape.end());
  w.stride = w.dilation = w.output = Ints(w.kernel.size(), 1);
  w.pad_begin = w.pad_end = Ints(w.kernel.size(), 0);
  lower_strided(to, node, w);
}

void run_pool(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  const model::Attributes& a = step.step.attributes;
  const TensorView& x = step.input(0);
  const TensorView& y = step.output();
  const Ints kernel = a.get_ints("kernel"), stride = a.get_ints("strides"),
             pad = a.get_ints("pads"), dilation = a.get_ints("dilations");
  PoolParams p;
  p.input = x.data;
  p.input_stride = narrow(compiler::pixel_stride(x.shape, x.strides).value_or(0));
  p.output = y.data;
  p.output_stride = narrow(compiler::pixel_stride(y.shape, y.strides).value_or(0));
  p.batch = narrow(x.shape[0]), p.channels = narrow(x.shape[1]);
  p.in_height = narrow(x.shape[2]), p.in_width = narrow(x.shape[3]);
  p.out_height = narrow(y.shape[2]), p.out_width = narrow(y.shape[3]);
  p.kernel_height = narrow(kernel[0]), p.kernel_width = narrow(kernel[1]);
  p.stride_y = narrow(stride[0]), p.stride_x = narrow(stride[1]);
  p.pad_top = narrow(pad[0]), p.pad_left = narrow(pad[1]);
  p.dilation_y = narrow(dilation[0]), p.dilation_x = narrow(dilation[1]);
  p.average = a.get_string("mode", "max") == "average";
  p.count_padding = a.get_int("count_include_pad", 0) != 0;
  launch_pool(p, step.overlapped, step.stream);
}

void run_pool_chain(const BoundStep& step) {
  launch_pool_chain(chain_params(step), step.overlapped, step.stream);
}

void run_global_pool(const BoundStep& step) {
  const TensorView& x = step.input(0);
  const TensorView& y = step.output();
  GlobalPoolParams p;
  p.input = x.data;
  p.input_stride = narrow(compiler::pixel_stride(x.shape, x.strides).value_or(0));
  p.output = y.data;
  p.output_half = y.dtype == DType::kFloat16;
  p.output_stride = y.strides[0];
  p.batch = narrow(x.shape[0]);
  p.channels = narrow(x.shape[1]);
  p.pixels = narrow(x.shape[2] * x.shape[3]);
  p.average = step.step.attributes.get_string("mode", "average") == "average";
  launch_global_pool(p, step.overlapped, step.stream);
}

void run_pool_strided(const BoundStep& step) {
  if (element_count(step.output().shape) == 0) return;
  const model::Attributes& a = step.step.attributes;
  const TensorView& x = step.input(0);
  const TensorView& y = step.output();
  PoolStridedParams p;
  p.input = x.data;
  p.output = y.data;
  p.input_half = x.dtype == DType::kFloat16;
  p.output_half = y.dtype == DType::kFloat16;
  spread_strides(x.strides, p.input_stride);
  spread_strides(y.strides, p.output_stride);
  if (step.outputs.size() > 1) {
    p.indices = static_cast<std::int64_t*>(step.output(1).data);
    spread_strides(step.output(1).strides, p.index_stride);
  }
  p.batch = narrow(x.shape[0]);
  p.channels = narrow(x.shape[1]);
  spread(Ints(x.shape.begin() + 2, x.shape.end()), p.in);
  spread(Ints(y.shape.begin() + 2, y.shape.end()), p.out);
  spread(a.get_ints("kernel"), p.kernel);
  spread(a.get_ints("strides"), p.stride);
  spread(a.get_ints("pads"), p.pad);
  spread(a.get_ints("pads_end"), p.pad_end);
  spread(a.get_ints("dilations"), p.dilation);
  const std::string mode = a.get_string("mode", "max");
  p.pooling = mode == "max"       ? Pooling::kMaximum
              : mode == "average" ? Pooling::kAverage
                                  : Pooling::kNorm;
  p.power = static_cast<float>(a.get_int("p", 2));
  p.count_padding = a.get_int("count_include_pad", 0) != 0;
  p.column_major = a.get_int("storage_order", 0) != 0 && x.shape.size() == 4;
  launch_pool_strided(p, step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
