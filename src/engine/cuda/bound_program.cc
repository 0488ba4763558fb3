// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/bound_program.h"

#include <fmt/format.h>

#include "core/cuda/check.h"
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

Branches::Branches(const compiler::Program& program) {
  for (int i = 1; i < program.streams; ++i) streams_.push_back(make_stream());
  for (std::size_t i = 0; program.streams > 1 && i < program.steps.size(); ++i)
    events_.push_back(make_event());
}

BoundProgram::BoundProgram(const compiler::Program& program, const Addresses& addresses)
    : program_(&program) {
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

void BoundProgram::enqueue(cudaStream_t stream, const Branches& branches, bool overlapped) const {
  if (program_->streams == 1) {
    for (std::size_t i = 0; i < steps_.size(); ++i) enqueue(i, stream, overlapped);
    return;
  }
  std::vector<bool> waited_for(steps_.size(), false);
  for (const Entry& entry : steps_) {
    for (const int step : entry.step->waits) waited_for[static_cast<std::size_t>(step)] = true;
  }
  std::vector<int> last(static_cast<std::size_t>(program_->streams), -1);  // step of each stream
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const compiler::Step& step = *steps_[i].step;
    const auto own = static_cast<std::size_t>(step.stream);
    const cudaStream_t on = step.stream == 0 ? stream : branches.stream(step.stream - 1);
    if (own != 0 && last[own] < 0 &&
        step.waits.empty()) {  // starts from nothing: joins the capture
      CUDA_CHECK(cudaEventRecord(branches.event(i), stream));
      CUDA_CHECK(cudaStreamWaitEvent(on, branches.event(i)));
    }
    for (const int wait : step.waits) {
      CUDA_CHECK(cudaStreamWaitEvent(on, branches.event(static_cast<std::size_t>(wait))));
    }
    enqueue(i, on, overlapped);
    last[own] = static_cast<int>(i);
    if (waited_for[i]) CUDA_CHECK(cudaEventRecord(branches.event(i), on));
  }
  for (std::size_t s = 1; s < last.size(); ++s) {
    if (last[s] < 0) continue;
    const auto step = static_cast<std::size_t>(last[s]);
    CUDA_CHECK(cudaEventRecord(branches.event(step), branches.stream(static_cast<int>(s) - 1)));
    CUDA_CHECK(cudaStreamWaitEvent(stream, branches.event(step)));
  }
}

}  // namespace peregrine::cuda
