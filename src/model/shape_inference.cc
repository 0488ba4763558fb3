// SPDX-License-Identifier: Apache-2.0
#include "model/shape_inference.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/absent_rows.h"
#include "model/cost.h"
#include "model/reference/interpreter.h"
#include "model/shape_rules.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

// What a hostile file may cost in memory and time. Masks and grids of a large batch (DETR's: one
// tensor of batch * 3 * 800 * 800) must still fold.
constexpr std::size_t kMaxFoldedBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxFoldedTotal = std::size_t{2} << 30;
constexpr std::int64_t kMaxFoldedFlops = std::int64_t{1} << 28;

[[noreturn]] void refuse(const Graph& graph, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("model '{}': {}", graph.path, what));
}

void bind_input(const Graph& graph, Value& input, const InferOptions& options,
                std::map<std::string, std::int64_t>& bound) {
  if (!input.has_shape) refuse(graph, fmt::format("input '{}' has no shape", input.name));
  const bool picture = input.rank() == 4;
  for (std::size_t i = 0; i < input.shape.size(); ++i) {
    std::int64_t& dim = input.shape[i];
    const std::string symbol = i < input.dim_names.size() ? input.dim_names[i] : std::string();
    if (i == 0 && dim >= 0 && options.batch > 0 && dim != options.batch && input.rank() > 1) {
      refuse(graph, fmt::format("its batch is fixed to {}, asked for {}; export it with a dynamic "
                                "batch, or run it with batch {}",
                                dim, options.batch, dim));
    }
    if (dim >= 0) continue;
    const auto known = bound.find(symbol);
    if (i == 0 && options.batch > 0)
      dim = options.batch;
    else if (!symbol.empty() && known != bound.end())
      dim = known->second;
    else if (picture && i == 2 && options.height > 0)
      dim = options.height;
    else if (picture && i == 3 && options.width > 0)
      dim = options.width;
    if (dim < 0) {
      refuse(graph, fmt::format("dimension {} ('{}') of input '{}' is open; say it with --imgsz", i,
                                symbol, input.name));
    }
    if (!symbol.empty()) bound.emplace(symbol, dim);
  }
  byte_size(input.dtype, input.shape);
}

std::vector<RuleInput> rule_inputs(const Node& node) {
  std::vector<RuleInput> inputs;
  for (const Value* input : node.inputs()) {
    if (input)
      inputs.push_back({true, input->dtype, &input->shape, input->constant().get()});
    else
      inputs.push_back({});
  }
  return inputs;
}

void infer_node(Node& node) {
  const auto outputs = apply_rule(node, rule_inputs(node));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Value* value = node.outputs()[i];
    if (!value) continue;
    if (!outputs[i]) {
      const bool suppression = node.op() == Op::kNonMaxSuppression;
      throw Error(
          ErrorCode::kModelUnsupported,
          fmt::format("{}: the size of its output depends on the picture; export the model "
                      "without it{}",
                      describe(node), suppression ? " (Peregrine does its own suppression)" : ""));
    }
    value->dtype = outputs[i]->dtype;
    value->shape = outputs[i]->shape;
    value->has_shape = true;
  }
}

// The size of its output is known when it ran: NonZero of a constant mask, as PyTorch exports
// index_put.
bool runs_before_its_shape_is_known(const Node& node) {
  return node.op() == Op::kNonZero && node.input(0) && node.input(0)->is_constant() &&
         node.input(0)->constant()->bytes() <= kMaxFoldedBytes / 64;
}

bool depends_on_shapes_only(const Node& node) {
  return node.op() == Op::kShape || node.op() == Op::kSize || node.op() == Op::kEyeLike;
}

bool is_foldable(const Node& node, std::size_t folded_bytes) {
  if (!depends_on_shapes_only(node)) {
    for (const Value* input : node.inputs()) {
      if (input && !input->is_constant()) return false;
    }
  }
  std::size_t bytes = 0;
  for (const Value* output : node.outputs()) {
    if (output) bytes += byte_size(output->dtype, output->shape);
  }
  return bytes <= kMaxFoldedBytes && folded_bytes + bytes <= kMaxFoldedTotal &&
         node_cost(node).flops <= kMaxFoldedFlops;
}

// Shape, Size and EyeLike look at no contents.
std::vector<Tensor> evaluate(const Node& node) {
  if (node.op() == Op::kEyeLike) {
    const Tensor any = Tensor::zeros(node.input(0)->dtype, node.input(0)->shape);
    const Tensor* inputs[] = {&any};
    return run_node(node, inputs);
  }
  if (depends_on_shapes_only(node)) {
    std::vector<Tensor> results;
    const auto infos = apply_rule(node, rule_inputs(node));
    const Shape& x = node.input(0)->shape;
    if (node.op() == Op::kSize) {
      const std::int64_t count = element_count(x);
      results.push_back(Tensor::of<std::int64_t>({&count, 1}, {}));
      return results;
    }
    const auto rank = static_cast<std::int64_t>(x.size());
    const std::int64_t stated = node.attributes.get_int("start", 0);
    const std::int64_t start =
        std::clamp<std::int64_t>(stated < 0 ? stated + rank : stated, 0, rank);
    const auto count = static_cast<std::size_t>(infos[0]->shape[0]);
    results.push_back(Tensor::of<std::int64_t>(
        std::span(x).subspan(static_cast<std::size_t>(count == 0 ? 0 : start), count),
        infos[0]->shape));
    return results;
  }
  std::vector<const Tensor*> inputs;
  for (const Value* input : node.inputs())
    inputs.push_back(input ? input->constant().get() : nullptr);
  return run_node(node, inputs);
}

void fold(Graph& graph, Node& node) {
  std::vector<Tensor> results = evaluate(node);
  const std::vector<Value*> outputs = node.outputs();
  const std::vector<Value*> inputs = node.inputs();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i])
      graph.make_constant(outputs[i], std::make_shared<Tensor>(std::move(results[i])));
  }
  graph.erase(&node);
  for (Value* input : inputs) {
    if (input && input->readers().empty() && !input->is_graph_output()) graph.release(input);
  }
}

int walk(Graph& graph, bool infer_shapes, bool bound_lengths = false) {
  AbsentRows absent;
  int folded = 0;
  std::size_t folded_bytes = 0;
  for (Node* node : graph.nodes()) {
    if (runs_before_its_shape_is_known(*node)) {
      fold(graph, *node);
      ++folded;
      continue;
    }
    if (bound_lengths) AbsentRows::bound(*node);
    if (infer_shapes) infer_node(*node);
    if (bound_lengths) absent.follow(*node);
    if (!is_foldable(*node, folded_bytes)) continue;
    for (const Value* output : node->outputs()) {
      if (output) folded_bytes += byte_size(output->dtype, output->shape);
    }
    fold(graph, *node);
    ++folded;
  }
  if (bound_lengths) absent.finish(graph);
  return folded + graph.remove_dead();
}

}  // namespace

int infer(Graph& graph, const InferOptions& options) {
  if (options.batch < 0 || options.batch > (1 << 20)) {
    refuse(graph, fmt::format("batch {} is out of range", options.batch));
  }
  std::map<std::string, std::int64_t> bound;
  for (Value* input : graph.inputs()) bind_input(graph, *input, options, bound);
  const Shape* first = graph.inputs().empty() ? nullptr : &graph.inputs()[0]->shape;
  graph.batch = options.batch > 0 || !first || first->empty() ? options.batch : first->front();
  try {
    return walk(graph, true, options.bound_lengths);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("model '{}': {}", graph.path, error.what()));
  }
}

int fold_constants(Graph& graph) { return walk(graph, false); }

}  // namespace peregrine::model
