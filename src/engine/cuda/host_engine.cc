// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/host_engine.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "core/cuda/device_tensors.h"
#include "core/stopwatch.h"
#include "core/tensor_spec.h"
#include "engine/bindings.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constinit TransferPoint kHostInputs{Crossing::kUp, "infer", "tensors of a host caller"};
constinit TransferPoint kHostOutputs{Crossing::kDown, "infer", "tensors of a host caller"};

class HostContext final : public ExecutionContext {
 public:
  explicit HostContext(std::shared_ptr<const CudaEngine> engine)
      : engine_(std::move(engine)),
        inner_(engine_->create_context()),
        device_inputs_(engine_->inputs(), engine_->max_batch(), engine_->device()),
        device_outputs_(engine_->outputs(), engine_->max_batch(), engine_->device()),
        pinned_inputs_(pinned(engine_->inputs())),
        pinned_outputs_(pinned(engine_->outputs())),
        stream_(make_stream()) {}

  // The caller gave the batch up; memory goes after the work that uses it.
  ~HostContext() override { cudaStreamSynchronize(stream_.get()); }

  void enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int batch,
               StreamHandle) override {
    const std::string& model = engine_->plan().identity.model_name;
    if (!pending_.empty()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("model '{}': enqueue before wait; use one context for each batch in "
                              "flight",
                              model));
    }
    engine::check_bindings(model, "input", engine_->inputs(), inputs, batch, engine_->max_batch());
    engine::check_bindings(model, "output", engine_->outputs(), outputs, batch,
                           engine_->max_batch());
    CUDA_CHECK(cudaSetDevice(engine_->device().index));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::size_t bytes = bytes_at(engine_->inputs()[i], batch);
      std::memcpy(pinned_inputs_[i].data(), inputs[i].data, bytes);
      copy_up(kHostInputs, device_inputs_.data(i), pinned_inputs_[i].data(), bytes, stream_.get());
    }
    inner_->enqueue(device_inputs_.views(batch), device_outputs_.views(batch), batch,
                    stream_.get());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::size_t bytes = bytes_at(engine_->outputs()[i], batch);
      copy_down(kHostOutputs, pinned_outputs_[i].data(), device_outputs_.data(i), bytes,
                stream_.get());
      pending_.push_back({outputs[i].data, bytes});
    }
  }

  void wait() override {
    waiting_.swap(pending_);
    pending_.clear();  // whatever happens now, the batch is no longer in flight
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      std::memcpy(waiting_[i].to, pinned_outputs_[i].data(), waiting_[i].bytes);
    }
    waiting_.clear();
  }

 private:
  struct Copy {
    void* to;
    std::size_t bytes;
  };

  std::vector<PinnedBuffer> pinned(const std::vector<TensorSpec>& specs) const {
    std::vector<PinnedBuffer> buffers;
    for (const TensorSpec& spec : specs) {
      buffers.emplace_back(bytes_at(spec, engine_->max_batch()));
    }
    return buffers;
  }

  const std::shared_ptr<const CudaEngine> engine_;
  const std::unique_ptr<ExecutionContext> inner_;
  DeviceTensors device_inputs_, device_outputs_;
  std::vector<PinnedBuffer> pinned_inputs_, pinned_outputs_;
  Stream stream_;
  std::vector<Copy> pending_, waiting_;
};

// Dense FP16 tensor operations of one multiprocessor in one clock, a multiply-add counting as 2:
// NVIDIA's data sheets (A100 312, A10 125, L4 121, H100 989, B200 2250 TFLOP/s).
int tensor_flops_a_clock(int sm) {
  if (sm >= 100 && sm < 120) return 8192;
  if (sm == 90) return 4096;
  return sm == 80 ? 2048 : 1024;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&value, which, device));
  return value;
}

}  // namespace

std::unique_ptr<ExecutionContext> HostEngine::create_context() const {
  return std::make_unique<HostContext>(engine_);
}

engine::GpuEngine::Peak HostEngine::peak() const {
  const DeviceInfo& info = engine_->device_info();
  const double memory_hertz = 1e3 * attribute(cudaDevAttrMemoryClockRate, info.index);
  const double bus_bytes = attribute(cudaDevAttrGlobalMemoryBusWidth, info.index) / 8.0;
  const double core_hertz = 1e3 * attribute(cudaDevAttrClockRate, info.index);
  return {2 * memory_hertz * bus_bytes,  // two transfers a clock
          core_hertz * info.multiprocessors * tensor_flops_a_clock(info.sm())};
}

engine::RunTimes HostEngine::time_on_device(std::span<const TensorView> inputs, int batch,
                                            double seconds) const {
  CUDA_CHECK(cudaSetDevice(engine_->device().index));
  const auto context = engine_->create_context();
  DeviceTensors device_inputs(engine_->inputs(), batch, engine_->device());
  DeviceTensors device_outputs(engine_->outputs(), batch, engine_->device());
  const Stream stream = make_stream();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    copy_up(kHostInputs, device_inputs.data(i), inputs[i].data,
            bytes_at(engine_->inputs()[i], batch), stream.get());
  }
  const auto once = [&] {
    context->enqueue(device_inputs.views(batch), device_outputs.views(batch), batch, stream.get());
  };
  // Clocks rise and graphs are captured before anything counts.
  const Stopwatch warming;
  int warm_runs = 0;
  do {
    for (int i = 0; i < 10; ++i) once();
    warm_runs += 10;
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  } while (warming.seconds() < 0.2 * seconds);
  const double estimate = warming.seconds() / warm_runs;
  const int runs = std::clamp(static_cast<int>(seconds / estimate), 30, 5000);

  std::vector<Event> marks;
  for (int i = 0; i <= runs; ++i) marks.push_back(make_event(EventUse::kTiming));
  CUDA_CHECK(cudaEventRecord(marks[0].get(), stream.get()));
  for (int i = 1; i <= runs; ++i) {
    once();
    CUDA_CHECK(cudaEventRecord(marks[static_cast<std::size_t>(i)].get(), stream.get()));
  }
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  std::vector<double> microseconds;
  for (std::size_t i = 1; i < marks.size(); ++i) {
    microseconds.push_back(1e3 * milliseconds_between(marks[i - 1], marks[i]));
  }
  return engine::summarize(std::move(microseconds));
}

std::vector<double> HostEngine::time_steps(std::size_t program) const {
  std::vector<double> microseconds;
  for (const StepTime& each : engine_->time_steps(program)) {
    microseconds.push_back(each.microseconds);
  }
  return microseconds;
}

}  // namespace peregrine::cuda
