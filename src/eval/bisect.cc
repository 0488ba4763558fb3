// SPDX-License-Identifier: Apache-2.0
#include "eval/bisect.h"

#include <cmath>
#include <cstring>
#include <unordered_map>

#include "eval/output_difference.h"
#include "model/onnx_reader.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine::eval {
namespace {

// A value as the plan made it.
struct Made {
  const compiler::Step* step = nullptr;
  Tensor tensor;
};

std::unordered_map<std::string, Made> values_of(const engine::GpuEngine& plan,
                                                std::span<const TensorView> inputs) {
  std::unordered_map<std::string, Made> values;
  plan.run_stepwise(0, inputs, [&](const compiler::Step& step, std::size_t output, Tensor tensor) {
    const std::string& name = step.outputs[output].value;
    if (!name.empty()) values[name] = {&step, std::move(tensor)};
  });
  return values;
}

std::vector<Tensor> copies_of(std::span<const TensorView> views) {
  std::vector<Tensor> copies;
  for (const TensorView& view : views) {
    copies.emplace_back(view.dtype, view.shape);
    std::memcpy(copies.back().data(), view.data, copies.back().bytes());
  }
  return copies;
}

model::InferOptions sizes_of(std::span<const TensorView> inputs, std::int64_t batch) {
  model::InferOptions sizes;
  sizes.batch = batch;
  if (inputs.front().rank() == 4) {
    sizes.height = inputs.front().shape[2];
    sizes.width = inputs.front().shape[3];
  }
  return sizes;
}

bool is_worse(double error, double than) { return std::isnan(error) || error > than; }

}  // namespace

Bisection bisect(const engine::GpuEngine& plan, const std::string& model,
                 std::span<const TensorView> inputs, double tolerance,
                 const std::function<void(const std::string&)>& progress) {
  const std::unordered_map<std::string, Made> made = values_of(plan, inputs);
  model::Graph graph = model::read_onnx(model);
  model::infer(graph, sizes_of(inputs, plan.plan().programs.front().batch));
  Bisection result;
  result.worst.error = -1;
  model::run_graph(
      graph, copies_of(inputs), [&](const model::Value& value, const Tensor& expected) {
        const model::Node& node = *value.producer();
        if (progress) progress(node.name());
        const auto found = made.find(value.name);
        if (found == made.end() || found->second.tensor.size() != expected.size()) return;
        const compiler::Step& step = *found->second.step;
        Checkpoint point{node.name(),
                         model::to_string(node.op()),
                         value.name,
                         step.kernel,
                         step.tactic,
                         step.origins,
                         relative_l2(found->second.tensor, expected)};
        ++result.compared;
        // One value off by NaN stays the worst.
        if (!std::isnan(result.worst.error) && is_worse(point.error, result.worst.error)) {
          result.worst = point;
        }
        if (!result.first && is_worse(point.error, tolerance)) result.first = std::move(point);
      });
  result.unmatched = static_cast<int>(made.size()) - result.compared;
  return result;
}

}  // namespace peregrine::eval
