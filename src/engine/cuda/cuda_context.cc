// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/cuda_context.h"

#include <algorithm>

#include "core/cuda/check.h"
#include "core/tensor_spec.h"
#include "engine/bindings.h"

namespace peregrine::cuda {
namespace {

std::size_t arena_bytes(const CudaEngine& engine) {
  std::size_t bytes = 0;
  for (const auto& program : engine.plan().programs) bytes = std::max(bytes, program.arena_bytes);
  return bytes;
}

std::vector<void*> addresses_of(std::span<const TensorView> views) {
  std::vector<void*> addresses;
  for (const TensorView& view : views) addresses.push_back(view.data);
  return addresses;
}

void advance(std::vector<void*>& addresses, const std::vector<TensorSpec>& specs,
             std::int64_t pictures) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    addresses[i] = static_cast<char*>(addresses[i]) + bytes_at(specs[i], pictures);
  }
}

}  // namespace

CudaContext::CudaContext(const CudaEngine& engine)
    : engine_(engine),
      inputs_(engine.inputs(), engine.max_batch(), engine.device()),
      outputs_(engine.outputs(), engine.max_batch(), engine.device()) {
  arena_ = DeviceBuffer(arena_bytes(engine));
  stream_ = make_stream();
  capture_stream_ = make_stream();
  done_ = make_event();
}

CudaContext::~CudaContext() {
  // Memory goes after the work that uses it.
  if (done_) cudaEventSynchronize(done_.get());
}

std::size_t CudaContext::bytes(const CudaEngine& engine) {
  std::size_t bytes = arena_bytes(engine);
  for (const TensorSpec& spec : engine.inputs()) bytes += bytes_at(spec, engine.max_batch());
  for (const TensorSpec& spec : engine.outputs()) bytes += bytes_at(spec, engine.max_batch());
  return bytes;
}

Addresses CudaContext::own_addresses() const {
  Addresses own{arena_.data(), engine_.weights(), {}, {}};
  for (std::size_t i = 0; i < engine_.inputs().size(); ++i) own.inputs.push_back(inputs_.data(i));
  for (std::size_t i = 0; i < engine_.outputs().size(); ++i)
    own.outputs.push_back(outputs_.data(i));
  return own;
}

void CudaContext::enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                          int batch, StreamHandle stream) {
  const std::string& model = engine_.plan().identity.model_name;
  engine::check_bindings(model, "input", engine_.inputs(), inputs, batch, engine_.max_batch(),
                         engine_.device());
  engine::check_bindings(model, "output", engine_.outputs(), outputs, batch, engine_.max_batch(),
                         engine_.device());
  CUDA_CHECK(cudaSetDevice(engine_.device().index));
  cudaStream_t on = stream ? static_cast<cudaStream_t>(stream) : stream_.get();
  // The arena is one: what this context did before ends first, also on another stream.
  CUDA_CHECK(cudaStreamWaitEvent(on, done_.get()));
  Addresses at{arena_.data(), engine_.weights(), addresses_of(inputs), addresses_of(outputs)};
  int left = batch;
  for (const int program : engine_.schedule(batch)) {
    const int size =
        static_cast<int>(engine_.plan().programs[static_cast<std::size_t>(program)].batch);
    if (size <= left) {
      run(program, at, on);
    } else {
      run_padded(program, at, left, on);
    }
    const int taken = std::min(size, left);
    left -= taken;
    if (left == 0) break;
    advance(at.inputs, engine_.inputs(), taken);
    advance(at.outputs, engine_.outputs(), taken);
  }
  CUDA_CHECK(cudaEventRecord(done_.get(), on));
}

void CudaContext::wait() { CUDA_CHECK(cudaEventSynchronize(done_.get())); }

void CudaContext::run(int program, const Addresses& addresses, cudaStream_t stream) {
  CUDA_CHECK(cudaGraphLaunch(captured(program, addresses).graph.get(), stream));
}

void CudaContext::run_padded(int program, const Addresses& caller, int count, cudaStream_t stream) {
  const Addresses own = own_addresses();
  for (std::size_t i = 0; i < own.inputs.size(); ++i) {
    CUDA_CHECK(cudaMemcpyAsync(own.inputs[i], caller.inputs[i],
                               bytes_at(engine_.inputs()[i], count), cudaMemcpyDeviceToDevice,
                               stream));
  }
  run(program, own, stream);
  for (std::size_t i = 0; i < own.outputs.size(); ++i) {
    CUDA_CHECK(cudaMemcpyAsync(caller.outputs[i], own.outputs[i],
                               bytes_at(engine_.outputs()[i], count), cudaMemcpyDeviceToDevice,
                               stream));
  }
}

const CudaContext::Captured& CudaContext::captured(int program, const Addresses& addresses) {
  const auto found = std::find_if(graphs_.begin(), graphs_.end(), [&](const Captured& each) {
    return each.program == program && each.addresses.inputs == addresses.inputs &&
           each.addresses.outputs == addresses.outputs;
  });
  if (found != graphs_.end()) {
    graphs_.splice(graphs_.begin(), graphs_, found);
    return graphs_.front();
  }
  if (graphs_.size() == kGraphs) {
    CUDA_CHECK(cudaEventSynchronize(done_.get()));  // it may still run
    graphs_.pop_back();
  }
  const BoundProgram bound(engine_.plan().programs[static_cast<std::size_t>(program)], addresses);
  const Branches branches(engine_.plan().programs[static_cast<std::size_t>(program)]);
  GraphExec graph =
      capture(capture_stream_.get(), [&] { bound.enqueue(capture_stream_.get(), branches); });
  graphs_.push_front({program, addresses, std::move(graph)});
  return graphs_.front();
}

}  // namespace peregrine::cuda
