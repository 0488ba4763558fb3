// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/device_tensors.h"
#include "peregrine/error.h"
#include "vision/gpu_frames.h"
#include "vision/gpu_input.h"
#include "vision/output_decoder_cuda.h"
#include "vision/picture_input.h"
#include "vision/predictor.h"
#include "vision/preprocess_cuda.h"

namespace peregrine::vision {
namespace {

class GpuPredictor final : public Predictor {
 public:
  GpuPredictor(std::shared_ptr<const Engine> engine, const TaskSpec& spec,
               const DecodeOptions& options)
      : engine_(std::move(engine)),
        input_(spec.input),
        max_batch_(check_picture_input(*engine_, spec.input)),
        inputs_(engine_->inputs(), max_batch_, engine_->device()),
        outputs_(engine_->outputs(), max_batch_, engine_->device()),
        decoder_(make_gpu_output_decoder(spec, options, engine_->outputs(), max_batch_)),
        context_(engine_->create_context()),
        stream_(cuda::make_stream()),
        started_(cuda::make_event(cuda::EventUse::kSleep)),
        preprocessed_(cuda::make_event(cuda::EventUse::kSleep)),
        inferred_(cuda::make_event(cuda::EventUse::kSleep)),
        decoded_(cuda::make_event(cuda::EventUse::kSleep)) {
    warm_up();
  }

  // Memory and frames go after the work that uses them.
  ~GpuPredictor() override { cudaStreamSynchronize(stream_.get()); }

  int max_batch() const override { return max_batch_; }

  void submit(std::span<const Frame> frames) override {
    check_batch(frames, max_batch_, !frames_.empty());
    CUDA_CHECK(cudaSetDevice(engine_->device().index));
    try {
      enqueue(frames);
    } catch (...) {
      cudaStreamSynchronize(stream_.get());
      frames_.clear();
      throw;
    }
  }

  PredictTimes collect(std::span<FrameResult> results) override {
    if (frames_.empty() || results.size() != infos_.size()) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("{} results asked for a batch of {} frames", results.size(), frames_.size()));
    }
    const cudaError_t read = cudaEventSynchronize(preprocessed_.get());
    frames_.clear();  // surfaces go back to their decoders while the model runs
    CUDA_CHECK(read);
    CUDA_CHECK(cudaEventSynchronize(decoded_.get()));
    for (std::size_t i = 0; i < results.size(); ++i) {
      results[i] = {};
      results[i].frame = infos_[i];
      decoder_->read(static_cast<int>(i), results[i]);
    }
    return {nanoseconds(started_, preprocessed_), nanoseconds(preprocessed_, inferred_),
            nanoseconds(inferred_, decoded_)};
  }

 private:
  // Every batch size once: the engine's graphs exist before a frame waits for them.
  void warm_up() {
    for (int batch = 1; batch <= max_batch_; ++batch) {
      context_->enqueue(inputs_.views(batch), outputs_.views(batch), batch, stream_.get());
    }
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
  }

  void enqueue(std::span<const Frame> frames) {
    const auto batch = static_cast<int>(frames.size());
    infos_.clear();
    letterboxes_.resize(frames.size());
    CUDA_CHECK(cudaEventRecord(started_.get(), stream_.get()));
    for (const Frame& frame : frames) {
      frames_.push_back(on_gpu(frame, engine_->device(), stream_.get()));
      infos_.push_back(frame.info);
    }
    const std::span<const TensorView> inputs = inputs_.views(batch);
    preprocess_on_gpu(frames_, input_, planar_view(inputs[0]), letterboxes_, stream_.get());
    CUDA_CHECK(cudaEventRecord(preprocessed_.get(), stream_.get()));
    const std::span<const TensorView> outputs = outputs_.views(batch);
    context_->enqueue(inputs, outputs, batch, stream_.get());
    CUDA_CHECK(cudaEventRecord(inferred_.get(), stream_.get()));
    decoder_->enqueue(outputs, letterboxes_, stream_.get());
    CUDA_CHECK(cudaEventRecord(decoded_.get(), stream_.get()));
  }

  static std::int64_t nanoseconds(const cuda::Event& from, const cuda::Event& to) {
    return static_cast<std::int64_t>(1e6 * cuda::milliseconds_between(from, to));
  }

  const std::shared_ptr<const Engine> engine_;
  const InputSpec input_;
  const int max_batch_;
  cuda::DeviceTensors inputs_, outputs_;
  const std::unique_ptr<GpuOutputDecoder> decoder_;
  const std::unique_ptr<ExecutionContext> context_;
  const cuda::Stream stream_;
  const cuda::Event started_, preprocessed_, inferred_, decoded_;
  std::vector<Frame> frames_;  // of the batch in flight, until the GPU has read them
  std::vector<FrameInfo> infos_;
  std::vector<Letterbox> letterboxes_;
};

}  // namespace

std::unique_ptr<Predictor> make_gpu_predictor(std::shared_ptr<const Engine> engine,
                                              const TaskSpec& spec, const DecodeOptions& options) {
  return std::make_unique<GpuPredictor>(std::move(engine), spec, options);
}

}  // namespace peregrine::vision
