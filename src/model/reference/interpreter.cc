// SPDX-License-Identifier: Apache-2.0
#include "model/reference/interpreter.h"

#include <unordered_map>

#include <fmt/format.h>

#include "model/convert.h"
#include "model/reference/kernel.h"
#include "model/shape_rules.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

enum class Promotion : std::uint8_t { kMath, kBytes };
using enum Promotion;

struct Row {
  Promotion promotion;
  reference::Kernel kernel;
};

constexpr Row kRows[] = {
#define PEREGRINE_OP(name, min_in, max_in, min_out, max_out, promotion, rule, kernel, cuda) \
  {promotion, &reference::kernels::kernel},
#include "model/ops.def"
#undef PEREGRINE_OP
};
static_assert(std::size(kRows) == kOpCount);

DType promoted(DType dtype) {
  if (dtype == DType::kFloat64 || dtype == DType::kFloat32) return dtype;
  return is_float(dtype) ? DType::kFloat32 : DType::kInt64;
}

// Input tensors in the types kernels compute in; converted copies are kept alive here.
struct Promoted {
  std::vector<const Tensor*> inputs;
  std::vector<std::unique_ptr<Tensor>> copies;
};

Promoted promote(std::span<const Tensor* const> inputs) {
  Promoted result;
  for (const Tensor* input : inputs) {
    if (input && promoted(input->dtype()) != input->dtype()) {
      result.copies.push_back(std::make_unique<Tensor>(convert(*input, promoted(input->dtype()))));
      input = result.copies.back().get();
    }
    result.inputs.push_back(input);
  }
  return result;
}

std::vector<RuleInput> rule_inputs(std::span<const Tensor* const> inputs) {
  std::vector<RuleInput> result;
  for (const Tensor* input : inputs) {
    if (input)
      result.push_back({true, input->dtype(), &input->shape(), input});
    else
      result.push_back({});
  }
  return result;
}

void check_input(const Value& value, const Tensor& tensor) {
  bool fits = tensor.dtype() == value.dtype;
  if (value.has_shape) {
    fits = fits && tensor.shape().size() == value.shape.size();
    for (std::size_t i = 0; fits && i < value.shape.size(); ++i) {
      fits = value.shape[i] < 0 || value.shape[i] == tensor.shape()[i];
    }
  }
  if (!fits) {
    throw Error(
        ErrorCode::kInvalidShape,
        fmt::format("input '{}' is {} {}, given {} {}", value.name, to_string(value.dtype),
                    to_string(value.shape), to_string(tensor.dtype()), to_string(tensor.shape())));
  }
}

}  // namespace

std::vector<Tensor> run_node(const Node& node, std::span<const Tensor* const> inputs) {
  const Row& row = kRows[static_cast<std::size_t>(node.op())];
  const auto infos = apply_rule(node, rule_inputs(inputs));
  const bool math = row.promotion == kMath;
  std::vector<Tensor> outputs(infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!infos[i] || !node.outputs()[i]) continue;
    outputs[i] = Tensor(math ? promoted(infos[i]->dtype) : infos[i]->dtype, infos[i]->shape);
  }
  const Promoted wide = math ? promote(inputs) : Promoted{{inputs.begin(), inputs.end()}, {}};
  row.kernel(reference::KernelContext{node, wide.inputs, outputs});
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (infos[i] && !outputs[i].empty() && outputs[i].dtype() != infos[i]->dtype) {
      outputs[i] = convert(outputs[i], infos[i]->dtype);
    }
  }
  return outputs;
}

std::vector<Tensor> run_graph(const Graph& graph, std::span<const Tensor> inputs,
                              const Observer& observe) {
  if (inputs.size() != graph.inputs().size()) {
    throw Error(ErrorCode::kInvalidShape, fmt::format("the model has {} inputs, given {}",
                                                      graph.inputs().size(), inputs.size()));
  }
  std::unordered_map<const Value*, Tensor> values;
  std::unordered_map<const Value*, std::size_t> uses;  // readers to come
  std::unordered_map<const Value*, const Tensor*> given;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    check_input(*graph.inputs()[i], inputs[i]);
    given[graph.inputs()[i]] = &inputs[i];
  }
  const auto tensor_of = [&](const Value* value) -> const Tensor* {
    if (!value) return nullptr;
    if (value->is_constant()) return value->constant().get();
    const auto input = given.find(value);
    return input != given.end() ? input->second : &values.at(value);
  };
  for (const Node* node : graph.nodes()) {
    std::vector<const Tensor*> arguments;
    for (const Value* input : node->inputs()) arguments.push_back(tensor_of(input));
    std::vector<Tensor> results = run_node(*node, arguments);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Value* output = node->outputs()[i];
      if (!output) continue;
      if (observe) observe(*output, results[i]);
      uses[output] = output->readers().size();
      values[output] = std::move(results[i]);
    }
    for (const Value* input : node->inputs()) {
      const auto left = uses.find(input);
      if (left == uses.end() || --left->second > 0 || input->is_graph_output()) continue;
      values.erase(input);
    }
  }
  std::vector<Tensor> outputs;
  for (const Value* output : graph.outputs()) outputs.push_back(tensor_of(output)->clone());
  return outputs;
}

}  // namespace peregrine::model
