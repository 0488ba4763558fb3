// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/engine_tensors.h"
#include "vision/predictor.h"

namespace peregrine::vision {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t nanoseconds(Clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

class CpuPredictor final : public Predictor {
 public:
  CpuPredictor(std::shared_ptr<const Engine> engine, const TaskSpec& spec,
               const DecodeOptions& options)
      : engine_(std::move(engine)),
        spec_(spec),
        decoder_(make_output_decoder(spec, options)),
        tensors_(*engine_, spec.input),
        context_(engine_->create_context()) {}

  // The engine may still be writing to our tensors.
  ~CpuPredictor() override {
    if (letterboxes_.empty()) return;
    try {
      context_->wait();
    } catch (const std::exception&) {
      // Nobody is left to tell: the batch was given up.
    }
  }

  int max_batch() const override { return tensors_.max_batch(); }

  void submit(std::span<const Frame> frames) override {
    const auto started = Clock::now();
    check_batch(frames, max_batch(), !letterboxes_.empty());
    infos_.clear();
    try {
      for (std::size_t i = 0; i < frames.size(); ++i) {
        letterboxes_.push_back(preprocess(frames[i], spec_.input, tensors_.picture(i)));
        infos_.push_back(frames[i].info);
      }
      started_infer_ = Clock::now();
      preprocess_time_ = started_infer_ - started;
      const auto batch = static_cast<int>(frames.size());
      context_->enqueue(tensors_.inputs(batch), tensors_.outputs(batch), batch);
    } catch (...) {
      letterboxes_.clear();  // nothing is in flight
      throw;
    }
  }

  PredictTimes collect(std::span<FrameResult> results) override {
    if (letterboxes_.empty() || results.size() != letterboxes_.size()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{} results asked for a batch of {} frames", results.size(),
                              letterboxes_.size()));
    }
    collecting_.swap(letterboxes_);
    letterboxes_.clear();  // whatever happens now, the batch is no longer in flight
    context_->wait();
    const auto inferred = Clock::now();
    const std::span<const TensorView> outputs =
        tensors_.outputs(static_cast<int>(collecting_.size()));
    for (std::size_t i = 0; i < collecting_.size(); ++i) {
      results[i] = {};
      results[i].frame = infos_[i];
      decoder_->decode(outputs, static_cast<int>(i), collecting_[i], results[i]);
    }
    return {nanoseconds(preprocess_time_), nanoseconds(inferred - started_infer_),
            nanoseconds(Clock::now() - inferred)};
  }

 private:
  const std::shared_ptr<const Engine> engine_;
  const TaskSpec spec_;
  const std::unique_ptr<OutputDecoder> decoder_;
  EngineTensors tensors_;
  const std::unique_ptr<ExecutionContext> context_;
  std::vector<Letterbox> letterboxes_;  // of the batch in flight; empty when there is none
  std::vector<Letterbox> collecting_;
  std::vector<FrameInfo> infos_;
  Clock::time_point started_infer_;
  Clock::duration preprocess_time_{};
};

}  // namespace

void check_batch(std::span<const Frame> frames, int max_batch, bool in_flight) {
  if (in_flight) {
    throw Error(ErrorCode::kInvalidArgument, "a batch is in flight already; collect it first");
  }
  if (frames.empty() || std::ssize(frames) > max_batch) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a batch of {} frames, not 1 to {}", frames.size(), max_batch));
  }
}

std::unique_ptr<Predictor> make_cpu_predictor(std::shared_ptr<const Engine> engine,
                                              const TaskSpec& spec, const DecodeOptions& options) {
  return std::make_unique<CpuPredictor>(std::move(engine), spec, options);
}

}  // namespace peregrine::vision
