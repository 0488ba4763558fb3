// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_engine.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "engine/bindings.h"
#include "engine/cuda/bound_program.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/cuda_context.h"
#include "engine/cuda/tactic.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constinit TransferPoint kWeights{Crossing::kUp, "load", "weights"};
constinit TransferPoint kStepInputs{Crossing::kUp, "report", "inputs of single steps"};
constinit TransferPoint kStepOutputs{Crossing::kDown, "report", "outputs of single steps"};

std::vector<Tensor> to_host(const BoundStep& step, cudaStream_t stream) {
  std::vector<Tensor> results;
  for (const TensorView& view : step.outputs) {
    // Strided memory comes down as its whole span and is packed here: reports can wait.
    compiler::Operand shape_of;
    shape_of.region = compiler::Region::kArena;
    shape_of.dtype = view.dtype;
    shape_of.shape = view.shape;
    shape_of.strides = view.strides;
    const compiler::ByteRange range = touched_bytes(shape_of);
    std::vector<std::byte> span(static_cast<std::size_t>(range.last - range.first));
    if (view.data && !span.empty()) {
      copy_down(kStepOutputs, span.data(), static_cast<char*>(view.data) + range.first, span.size(),
                stream);
      CUDA_CHECK(cudaStreamSynchronize(stream));
    }
    Tensor packed(view.dtype, view.shape);
    const std::size_t size = size_of(view.dtype);
    const std::int64_t count = view.data ? packed.size() : 0;
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t rest = i, at = -range.first;
      for (std::size_t axis = view.shape.size(); axis-- > 0;) {
        at += rest % view.shape[axis] * view.strides[axis] * static_cast<std::int64_t>(size);
        rest /= view.shape[axis];
      }
      std::copy_n(span.data() + at, size,
                  static_cast<std::byte*>(packed.data()) + static_cast<std::size_t>(i) * size);
    }
    results.push_back(std::move(packed));
  }
  return results;
}

// What a program is worth in a schedule when nobody measured it: launches, and some work a picture.
double cost_of(const compiler::Program& program) {
  if (program.microseconds > 0) return program.microseconds;
  const auto steps = static_cast<double>(program.steps.size());
  return steps * (1.5 + 0.2 * static_cast<double>(program.batch));
}

}  // namespace

std::vector<std::vector<int>> schedule_batches(const std::vector<compiler::Program>& programs) {
  const auto largest = static_cast<std::size_t>(programs.back().batch);
  std::vector<double> cost(largest + 1, std::numeric_limits<double>::infinity());
  std::vector<std::vector<int>> schedules(largest + 1);
  cost[0] = 0;
  for (std::size_t n = 1; n <= largest; ++n) {
    std::size_t rest = 0;
    int first = 0;
    for (std::size_t p = 0; p < programs.size(); ++p) {
      const auto batch = static_cast<std::size_t>(programs[p].batch);
      const std::size_t left = n > batch ? n - batch : 0;
      const double total = cost_of(programs[p]) + cost[left];
      if (total >= cost[n]) continue;
      cost[n] = total;
      first = static_cast<int>(p);
      rest = left;
    }
    schedules[n] = {first};
    schedules[n].insert(schedules[n].end(), schedules[rest].begin(), schedules[rest].end());
    // A padded program stands last, so that every other one starts where the one before it ended.
    std::sort(schedules[n].begin(), schedules[n].end(), std::greater<>());
  }
  return schedules;
}

CudaEngine::CudaEngine(compiler::Plan plan, int device)
    : plan_(std::move(plan)), device_(cuda::device_info(device)) {
  for (const compiler::Program& program : plan_.programs) {
    for (const compiler::Step& step : program.steps) check_step(step, plan_.weights);
  }
  CUDA_CHECK(cudaSetDevice(device));
  weights_ = DeviceBuffer(plan_.weights.size());
  const Stream stream = make_stream();
  copy_up(kWeights, weights_.data(), plan_.weights.data(), plan_.weights.size(), stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  plan_.weights = {};
  schedules_ = schedule_batches(plan_.programs);
}

CudaEngine::~CudaEngine() = default;

int CudaEngine::max_batch() const { return static_cast<int>(plan_.programs.back().batch); }

std::string CudaEngine::description() const {
  return fmt::format("Peregrine CUDA ({}, {})", device_.name,
                     plan_.identity.precision == "fp32" ? "FP32" : "FP16");
}

std::size_t CudaEngine::context_bytes() const { return CudaContext::bytes(*this); }

std::unique_ptr<ExecutionContext> CudaEngine::create_context() const {
  return std::make_unique<CudaContext>(*this);
}

std::vector<StepTime> CudaEngine::time_steps(std::size_t program) const {
  CUDA_CHECK(cudaSetDevice(device_.index));
  const CudaContext context(*this);
  const BoundProgram bound(plan_.programs[program], context.own_addresses());
  const Stream stream = make_stream();
  std::vector<StepTime> times;
  double before = 0;
  for (std::size_t i = 0; i < bound.size(); ++i) {
    const double alone =
        microseconds_in_chain(stream.get(), 20, [&] { bound.enqueue(i, stream.get()); });
    const double until = microseconds_in_chain(stream.get(), 1, [&] {
      for (std::size_t k = 0; k <= i; ++k) bound.enqueue(k, stream.get());
    });
    times.push_back({&plan_.programs[program].steps[i], alone, until - before});
    before = until;
  }
  return times;
}

void CudaEngine::run_stepwise(
    std::size_t program, std::span<const TensorView> host_inputs,
    const std::function<void(const compiler::Step&, std::size_t output, Tensor)>& seen) const {
  CUDA_CHECK(cudaSetDevice(device_.index));
  const CudaContext context(*this);
  const Addresses addresses = context.own_addresses();
  const Stream stream = make_stream();
  for (std::size_t i = 0; i < host_inputs.size(); ++i) {
    copy_up(kStepInputs, addresses.inputs[i], host_inputs[i].data,
            byte_size(host_inputs[i].dtype, host_inputs[i].shape), stream.get());
  }
  const BoundProgram bound(plan_.programs[program], addresses);
  for (std::size_t i = 0; i < bound.size(); ++i) {
    bound.enqueue(i, stream.get(), false);
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    std::vector<Tensor> results = to_host(bound.step(i, stream.get()), stream.get());
    for (std::size_t k = 0; k < results.size(); ++k) {
      seen(plan_.programs[program].steps[i], k, std::move(results[k]));
    }
  }
}

}  // namespace peregrine::cuda
