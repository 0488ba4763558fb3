// SPDX-License-Identifier: Apache-2.0
#include "model/cost.h"

#include <set>

#include "model/attention.h"
#include "model/convert.h"
#include "model/einsum.h"
#include "model/geometry.h"

namespace peregrine::model {
namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 62;

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) || product > kMost ? kMost : product;
}

std::int64_t plus(std::int64_t a, std::int64_t b) { return a > kMost - b ? kMost : a + b; }

std::int64_t bytes_of(const Value& value) {
  return static_cast<std::int64_t>(byte_size(value.dtype, value.shape));
}

std::int64_t product(const Ints& values) {
  std::int64_t result = 1;
  for (const std::int64_t value : values) result = times(result, value);
  return result;
}

// Operations an element of the output takes: what profilers count, roughly.
std::int64_t per_element(Op op) {
  switch (op) {
    case Op::kSoftmax:
    case Op::kLogSoftmax:
    case Op::kLayerNormalization:
    case Op::kInstanceNormalization:
    case Op::kGroupNormalization:
    case Op::kRMSNormalization: return 8;
    case Op::kBatchNormalization: return 2;
    case Op::kReshape:
    case Op::kFlatten:
    case Op::kSqueeze:
    case Op::kUnsqueeze:
    case Op::kTranspose:
    case Op::kConcat:
    case Op::kSplit:
    case Op::kSlice:
    case Op::kGather:
    case Op::kIdentity:
    case Op::kExpand:
    case Op::kTile:
    case Op::kPad:
    case Op::kCast:
    case Op::kConstantOfShape:
    case Op::kShape:
    case Op::kDepthToSpace:
    case Op::kSpaceToDepth: return 0;
    default: return 1;
  }
}

std::int64_t flops_of(const Node& node) {
  const Value* y = node.output();
  if (!y || !y->has_shape) return 0;
  const std::int64_t outputs = element_count(y->shape);
  switch (node.op()) {
    case Op::kConv: {
      const Shape& w = node.input(1)->shape;
      const std::int64_t taps = times(product(Shape(w.begin() + 1, w.end())), 2);
      return plus(times(outputs, taps), node.has_input(2) ? outputs : 0);
    }
    case Op::kConvTranspose: {
      const Shape& w = node.input(1)->shape;
      return times(element_count(node.input(0)->shape),
                   times(product(Shape(w.begin() + 1, w.end())), 2));
    }
    case Op::kMatMul: return times(outputs, times(node.input(0)->shape.back(), 2));
    case Op::kGemm: {
      const bool transposed = node.attributes.get_int("transA", 0) != 0;
      return times(outputs, times(node.input(0)->shape[transposed ? 0 : 1], 2));
    }
    case Op::kEinsum: {
      std::vector<Shape> shapes;
      for (const Value* input : node.inputs()) shapes.push_back(input->shape);
      const Einsum e = parse_einsum(node.attributes.get_string("equation", ""), shapes);
      return times(product(e.extent), static_cast<std::int64_t>(shapes.size()));
    }
    case Op::kAttention: {
      const AttentionGeometry g =
          attention_geometry(node, node.input(0)->shape, node.input(1)->shape, node.input(2)->shape,
                             node.has_input(4) ? node.input(4)->shape[2] : 0, {});
      const std::int64_t weights = product({g.batch, g.heads, g.queries, g.keys});
      return times(weights, 2 * (g.depth + g.value_depth) + 8);
    }
    case Op::kMaxPool:
    case Op::kAveragePool:
    case Op::kLpPool: return times(outputs, product(node.attributes.get_ints("kernel_shape")));
    case Op::kGlobalAveragePool:
    case Op::kGlobalMaxPool:
    case Op::kGlobalLpPool:
    case Op::kReduceMean:
    case Op::kReduceSum:
    case Op::kReduceMax: return element_count(node.input(0)->shape);
    case Op::kResize: {
      const std::string mode = node.attributes.get_string("mode", "nearest");
      return times(outputs, mode == "cubic" ? 32 : mode == "linear" ? 8 : 0);
    }
    default: return times(outputs, per_element(node.op()));
  }
}

}  // namespace

NodeCost node_cost(const Node& node) {
  NodeCost cost;
  cost.flops = flops_of(node);
  for (const Value* input : node.inputs()) {
    if (!input || !input->has_shape) continue;
    std::int64_t& bytes = input->is_constant() ? cost.weight_bytes : cost.input_bytes;
    bytes = plus(bytes, bytes_of(*input));
  }
  for (const Value* output : node.outputs()) {
    if (output && output->has_shape) cost.output_bytes = plus(cost.output_bytes, bytes_of(*output));
  }
  return cost;
}

GraphCost graph_cost(const Graph& graph) {
  GraphCost cost;
  std::set<const Value*> counted;
  for (const Node* node : graph.nodes()) {
    const NodeCost each = node_cost(*node);
    cost.flops = plus(cost.flops, each.flops);
    cost.activation_bytes = plus(cost.activation_bytes, each.output_bytes);
    ++cost.ops[to_string(node->op())];
    for (const Value* input : node->inputs()) {
      if (!input || !input->is_constant() || !is_float(input->dtype)) continue;
      if (counted.insert(input).second) cost.parameters += element_count(input->shape);
    }
  }
  return cost;
}

}  // namespace peregrine::model
