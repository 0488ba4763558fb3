// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <optional>

#include "compiler/passes.h"
#include "compiler/rewrite.h"

namespace peregrine::compiler {
namespace {

// y = x * scale[c] + shift[c] over the channels.
struct Affine {
  std::vector<float> scale, shift;
};

std::optional<Affine> batch_norm_affine(const Node& node) {
  if (node.op() != Op::kBatchNormalization) return std::nullopt;
  for (int i = 1; i < 5; ++i) {
    if (!node.input(i)->is_constant()) return std::nullopt;
  }
  const auto gamma = floats_of(node.input(1));
  const auto beta = floats_of(node.input(2));
  const auto mean = floats_of(node.input(3));
  const auto variance = floats_of(node.input(4));
  const double epsilon = static_cast<double>(node.attributes.get_float("epsilon", 1e-5F));
  Affine affine{gamma, beta};
  for (std::size_t i = 0; i < gamma.size(); ++i) {
    const double scale =
        static_cast<double>(gamma[i]) / std::sqrt(static_cast<double>(variance[i]) + epsilon);
    affine.scale[i] = static_cast<float>(scale);
    affine.shift[i] =
        static_cast<float>(static_cast<double>(beta[i]) - static_cast<double>(mean[i]) * scale);
  }
  return affine;
}

// Axis 1 after a convolution, the last one after a product of matrices.
std::size_t channel_axis(const Node* producer, const Shape& shape) {
  const bool product = producer && (producer->op() == Op::kMatMul || producer->op() == Op::kGemm);
  return product ? shape.size() - 1 : 1;
}

// A constant that holds one number for all, or one a channel: along `axis` of `shape`.
std::optional<std::vector<float>> per_channel(const Value* value, const Shape& shape,
                                              std::size_t axis) {
  if (!value->is_constant() || shape.size() < 2) return std::nullopt;
  const auto channels = static_cast<std::size_t>(shape[axis]);
  if (value->constant()->size() == 1) return std::vector<float>(channels, floats_of(value)[0]);
  Shape aligned(shape.size() < value->shape.size() ? 0 : shape.size() - value->shape.size(), 1);
  aligned.insert(aligned.end(), value->shape.begin(), value->shape.end());
  Shape wanted(shape.size(), 1);
  wanted[axis] = shape[axis];
  if (aligned != wanted) return std::nullopt;
  return floats_of(value);
}

// Mul, Add, Sub and Div of a tensor with constants per channel.
std::optional<Affine> arithmetic_affine(const Node& node, const Value* x) {
  const Op op = node.op();
  const bool right = node.input(0) == x;
  if (op != Op::kMul && op != Op::kAdd && !(right && (op == Op::kSub || op == Op::kDiv)))
    return std::nullopt;
  const Value* other = partner(node, x);
  if (!other || other == x || node.output()->shape != x->shape) return std::nullopt;
  const auto values = per_channel(other, x->shape, channel_axis(x->producer(), x->shape));
  if (!values) return std::nullopt;
  Affine affine{std::vector<float>(values->size(), 1.0F), std::vector<float>(values->size(), 0.0F)};
  for (std::size_t i = 0; i < values->size(); ++i) {
    if (op == Op::kMul) affine.scale[i] = (*values)[i];
    if (op == Op::kDiv) affine.scale[i] = 1 / (*values)[i];
    if (op == Op::kAdd) affine.shift[i] = (*values)[i];
    if (op == Op::kSub) affine.shift[i] = -(*values)[i];
  }
  return affine;
}

// Which output channel a weight belongs to.
struct WeightLayout {
  std::int64_t channels = 0, inner = 1, outer_channels = 1;
  std::size_t channel_of(std::size_t i, const Node& node, const Shape& w) const {
    const auto index = static_cast<std::int64_t>(i);
    if (node.op() != Op::kConvTranspose) return static_cast<std::size_t>(index / inner % channels);
    // [in, out / groups, taps]: the group of the input channel says which block of outputs.
    const std::int64_t group = index / (w[1] * inner) / outer_channels;
    return static_cast<std::size_t>(group * w[1] + index / inner % w[1]);
  }
};

WeightLayout weight_layout(const Node& node) {
  const Shape& w = node.input(1)->shape;
  WeightLayout layout;
  if (node.op() == Op::kGemm || node.op() == Op::kMatMul) {
    const bool rows_are_outputs = node.attributes.get_int("transB", 0) != 0;
    layout.channels = w[rows_are_outputs ? 0 : 1];
    layout.inner = rows_are_outputs ? w[1] : 1;
    return layout;
  }
  const bool transposed = node.op() == Op::kConvTranspose;
  for (std::size_t i = transposed ? 2 : 1; i < w.size(); ++i) layout.inner *= w[i];
  const std::int64_t groups = node.attributes.get_int("group", 1);
  layout.channels = transposed ? w[1] * groups : w[0];
  layout.outer_channels = transposed ? w[0] / groups : 1;
  return layout;
}

bool can_take(const Node* node) {
  const Op op = node ? node->op() : Op::kIdentity;
  if (op != Op::kConv && op != Op::kConvTranspose && op != Op::kGemm && op != Op::kMatMul) {
    return false;
  }
  if (!node->epilogue.empty() || !node->input(1)->is_constant()) return false;
  if (node->has_input(2) && !node->input(2)->is_constant()) return false;
  if (op == Op::kMatMul) return node->input(1)->rank() == 2;
  if (op != Op::kGemm) return true;
  const bool bias_per_channel =
      !node->has_input(2) || node->input(2)->constant()->size() == weight_layout(*node).channels;
  return bias_per_channel && node->attributes.get_float("alpha", 1) == 1.0F &&
         node->attributes.get_float("beta", 1) == 1.0F;
}

void fold_into(Graph& graph, Node* conv, Node* node, const Affine& affine) {
  const WeightLayout layout = weight_layout(*conv);
  const Shape w_shape = conv->input(1)->shape;
  std::vector<float> weights = floats_of(conv->input(1));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] *= affine.scale[layout.channel_of(i, *conv, w_shape)];
  }
  std::vector<float> bias(static_cast<std::size_t>(layout.channels), 0.0F);
  if (conv->has_input(2)) bias = floats_of(conv->input(2));
  for (std::size_t i = 0; i < bias.size(); ++i)
    bias[i] = bias[i] * affine.scale[i] + affine.shift[i];
  conv->set_input(1, add_floats(graph, conv->name() + ":folded_weight", weights, w_shape));
  conv->set_input(2, add_floats(graph, conv->name() + ":folded_bias", bias, {layout.channels}));
  graph.absorb(node, conv);
}

// A BatchNormalization without a convolution in front: two elementwise ops fuse where it cannot.
void to_arithmetic(Graph& graph, Node* node, const Affine& affine) {
  Shape shape(node->input(0)->shape.size(), 1);
  shape[1] = static_cast<std::int64_t>(affine.scale.size());
  Value* x = node->input(0);
  Node* scale = graph.add_node(
      Op::kMul, node->name() + ":scale",
      {x, add_floats(graph, node->name() + ":scale_by", affine.scale, shape)}, {node});
  scale->output()->shape = x->shape;
  scale->output()->has_shape = true;
  replace_node(
      graph, node, Op::kAdd,
      {scale->output(), add_floats(graph, node->name() + ":shift_by", affine.shift, shape)}, {});
}

}  // namespace

int fold_affine(Graph& graph) {
  int folded = 0;
  for (Node* node : graph.nodes()) {
    if (!node->alive() || node->inputs().empty()) continue;
    for (Value* x : std::vector<Value*>(node->inputs())) {
      if (!x || x->is_constant() || x->dtype != DType::kFloat32 || !node->alive()) continue;
      const bool norm = node->op() == Op::kBatchNormalization && x == node->input(0);
      const auto affine = norm ? batch_norm_affine(*node) : arithmetic_affine(*node, x);
      if (!affine) continue;
      Node* conv = x->producer();
      if (can_take(conv) && x->only_reader() == node) {
        fold_into(graph, conv, node, *affine);
      } else if (norm) {
        to_arithmetic(graph, node, *affine);
      } else {
        continue;
      }
      ++folded;
    }
  }
  graph.sort();
  graph.remove_dead();
  return folded;
}

}  // namespace peregrine::compiler
