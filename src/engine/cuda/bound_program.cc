// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/bound_program.h"

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Region;

void* start_of(const Operand& operand, const Addresses& addresses) {
  switch (operand.region) {
    case Region::kAbsent: return nullptr;
    case Region::kArena: return addresses.arena;
    case Region::kWeights: return addresses.weights;
    case Region::kInput: return addresses.inputs.at(static_cast<std::size_t>(operand.index));
    case Region::kOutput: return addresses.outputs.at(static_cast<std::size_t>(operand.index));
  }
  return nullptr;
}

std::vector<TensorView> bind(const std::vector<Operand>& operands, const Addresses& addresses) {
  std::vector<TensorView> views;
  for (const Operand& operand : operands) {
    TensorView view;
    if (!operand.is_absent()) {
      view.data = static_cast<char*>(start_of(operand, addresses)) + operand.offset;
    }
    view.dtype = operand.dtype;
    view.device = Device::cuda();
    view.shape = operand.shape;
    view.strides = operand.strides;
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace

BoundProgram::BoundProgram(const compiler::Program& program, const Addresses& addresses) {
  for (const compiler::Step& step : program.steps) {
    const Kernel* kernel = find_kernel(step.kernel);
    if (!kernel) {
      throw Error(ErrorCode::kModelInvalid,
                  fmt::format("step '{}' wants the kernel '{}', which this build does not have; "
                              "rebuild the plan with this version",
                              step.name, step.kernel));
    }
    steps_.push_back({&step, kernel, bind(step.inputs, addresses), bind(step.outputs, addresses)});
  }
}

BoundStep BoundProgram::step(std::size_t index, cudaStream_t stream, bool overlapped) const {
  const Entry& entry = steps_[index];
  return {*entry.step, entry.inputs, entry.outputs, overlapped, stream};
}

void BoundProgram::enqueue(std::size_t index, cudaStream_t stream, bool overlapped) const {
  try {
    steps_[index].kernel->run(step(index, stream, overlapped));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("step '{}' ({}): {}", steps_[index].step->name,
                                          steps_[index].step->kernel, error.what()));
  }
}

void BoundProgram::enqueue(cudaStream_t stream, bool overlapped) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) enqueue(i, stream, overlapped);
}

}  // namespace peregrine::cuda
