// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "vision/decoders.h"
#include "vision/embedder.h"
#include "vision/engine_tensors.h"

namespace peregrine::vision {
namespace {

class CpuEmbedder final : public Embedder {
 public:
  CpuEmbedder(std::shared_ptr<const Engine> engine, const TaskSpec& spec)
      : engine_(std::move(engine)),
        input_(spec.input),
        output_(spec.boxes_output),
        tensors_(*engine_, spec.input),
        context_(engine_->create_context()) {
    check_embeds(spec);
    embedding_size_ = static_cast<int>(row_at(tensors_.outputs(1), output_, 0).size());
  }

  int embedding_size() const override { return embedding_size_; }

  using Embedder::embed;
  void embed(const Frame& frame, Detections& detections, std::span<const int> objects) override {
    clear_embeddings(detections, embedding_size_, objects);
    const auto size = static_cast<std::size_t>(embedding_size_);
    const auto capacity = static_cast<std::size_t>(tensors_.max_batch());
    for (std::size_t first = 0; first < objects.size(); first += capacity) {
      const auto some = objects.subspan(first, std::min(capacity, objects.size() - first));
      for (std::size_t i = 0; i < some.size(); ++i) {
        preprocess_crop(frame, detections.boxes[static_cast<std::size_t>(some[i])], input_,
                        tensors_.picture(i));
      }
      const auto batch = static_cast<int>(some.size());
      const std::span<const TensorView> outputs = tensors_.outputs(batch);
      context_->enqueue(tensors_.inputs(batch), outputs, batch);
      context_->wait();
      for (std::size_t i = 0; i < some.size(); ++i) {
        const std::span<const float> row = row_at(outputs, output_, static_cast<int>(i));
        const std::span<float> into = std::span(detections.embeddings)
                                          .subspan(static_cast<std::size_t>(some[i]) * size, size);
        std::copy(row.begin(), row.end(), into.begin());
        normalize(into);
      }
    }
  }

 private:
  const std::shared_ptr<const Engine> engine_;
  const InputSpec input_;
  const int output_;
  EngineTensors tensors_;
  const std::unique_ptr<ExecutionContext> context_;
  int embedding_size_ = 0;
};

}  // namespace

std::unique_ptr<Embedder> make_cpu_embedder(std::shared_ptr<const Engine> engine,
                                            const TaskSpec& spec) {
  return std::make_unique<CpuEmbedder>(std::move(engine), spec);
}

}  // namespace peregrine::vision
