// SPDX-License-Identifier: Apache-2.0
// Elementwise ops. A step holds a whole chain (pointwise_chain.h): for each instruction its op's
// name, its operands (operand inputs of the step by number) and its numbers.
#include <algorithm>
#include <string>
#include <vector>

#include "compiler/strided.h"
#include "engine/cuda/lowering.h"
#include "engine/cuda/pointwise_chain.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Step;
using model::Attributes;
using model::Node;

constexpr std::size_t kOperandsEach = 3;  // x, y, swapped
constexpr std::size_t kRealsEach = 4;     // x, y, alpha, beta
constexpr std::size_t kIntegersEach = 2;  // x, y

// Steps may come from a file: nothing in them is believed.
[[noreturn]] void reject(const Step& step) {
  throw Error(ErrorCode::kModelInvalid,
              "step '" + step.name + "' holds no valid pointwise chain; rebuild the plan");
}

std::int8_t checked_operand(const BoundStep& step, std::int64_t operand) {
  if (operand < PointwiseInstruction::kNothing ||
      operand >= static_cast<std::int64_t>(step.inputs.size())) {
    reject(step.step);
  }
  return static_cast<std::int8_t>(operand);
}

void read_chain(const BoundStep& step, PointwiseParams& params) {
  const Attributes& from = step.step.attributes;
  const auto ops = from.get_strings("chain");
  const model::Ints operands = from.get_ints("operands"), integers = from.get_ints("numbers");
  const model::Floats reals = from.get_floats("reals");
  if (ops.empty() || ops.size() > PointwiseParams::kMaxInstructions ||
      operands.size() != ops.size() * kOperandsEach || reals.size() != ops.size() * kRealsEach ||
      integers.size() != ops.size() * kIntegersEach) {
    reject(step.step);
  }
  params.integers = from.get_int("integers", 0) != 0;
  params.instruction_count = static_cast<int>(ops.size());
  for (std::size_t k = 0; k < ops.size(); ++k) {
    const PointwiseOp* op = find_pointwise_op(ops[k]);
    if (!op) reject(step.step);
    PointwiseInstruction& i = params.instructions[k];
    i.op = *op;
    i.x = checked_operand(step, operands[k * kOperandsEach]);
    i.y = checked_operand(step, operands[k * kOperandsEach + 1]);
    i.swapped = operands[k * kOperandsEach + 2] != 0;
    i.x_real = reals[k * kRealsEach];
    i.y_real = reals[k * kRealsEach + 1];
    i.alpha = reals[k * kRealsEach + 2];
    i.beta = reals[k * kRealsEach + 3];
    i.x_integer = integers[k * kIntegersEach];
    i.y_integer = integers[k * kIntegersEach + 1];
  }
}

}  // namespace

void write_chain(const PointwiseChain& chain, Attributes& to) {
  std::vector<std::string> ops;
  model::Ints operands, integers;
  model::Floats reals;
  for (const PointwiseInstruction& i : chain.instructions) {
    ops.emplace_back(info(i.op).name);
    operands.insert(operands.end(), {i.x, i.y, i.swapped ? 1 : 0});
    reals.insert(reals.end(), {i.x_real, i.y_real, i.alpha, i.beta});
    integers.insert(integers.end(), {i.x_integer, i.y_integer});
  }
  to.set("integers", std::int64_t{chain.integers});
  to.set("chain", ops);
  to.set("operands", operands);
  to.set("reals", reals);
  to.set("numbers", integers);
}

void emit_chain(Lowering& to, const Node& node, Step step, const PointwiseChain& chain,
                std::vector<Operand> inputs, const Operand& output) {
  std::vector<Shape> strides;
  for (Operand& input : inputs) {
    input.strides = compiler::broadcast_strides(input.shape, input.strides, output.shape);
    input.shape = output.shape;
    strides.push_back(input.strides);
  }
  step.inputs = std::move(inputs);
  step.outputs = {output};
  write_chain(chain, step.attributes);
  try {
    make_pointwise(output.shape, output.strides, strides);
  } catch (const Error& error) {
    Lowering::refuse(node, error.what());
  }
  to.emit(std::move(step));
}

void lower_pointwise(Lowering& to, const Node& node) {
  if (joins_its_reader(node)) return;
  const PointwiseChain chain = pointwise_chain(node);
  Step step = to.step("pointwise", node);
  for (const Node* part : chain.nodes) {
    for (const std::string& origin : part->origins()) {
      if (std::find(step.origins.begin(), step.origins.end(), origin) == step.origins.end()) {
        step.origins.push_back(origin);
      }
    }
  }
  const Operand output = to.write(node.output());
  std::vector<Operand> inputs;
  for (const ChainTensor& tensor : chain.tensors) {
    inputs.push_back(tensor.value ? to.read(tensor.value) : to.weight(*tensor.made));
  }
  emit_chain(to, node, std::move(step), chain, std::move(inputs), output);
}

PointwiseParams pointwise_params(const BoundStep& step) {
  if (step.inputs.size() > PointwiseParams::kMaxTensors || step.outputs.size() != 1) {
    reject(step.step);
  }
  const TensorView& output = step.output();
  std::vector<Shape> strides;
  for (const TensorView& input : step.inputs) {
    if (input.shape != output.shape) reject(step.step);
    strides.push_back(input.strides);
  }
  PointwiseParams params = make_pointwise(output.shape, output.strides, strides);
  for (std::size_t k = 0; k < step.inputs.size(); ++k) {
    params.inputs[k].data = step.inputs[k].data;
    params.inputs[k].dtype = step.inputs[k].dtype;
  }
  params.output.data = output.data;
  params.output.dtype = output.dtype;
  read_chain(step, params);
  return params;
}

void run_pointwise(const BoundStep& step) {
  launch_pointwise(pointwise_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
