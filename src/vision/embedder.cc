// SPDX-License-Identifier: Apache-2.0
#include "vision/embedder.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/decoders.h"

namespace peregrine::vision {

Embedder::Embedder(std::shared_ptr<const Engine> engine, const TaskSpec& spec)
    : engine_(std::move(engine)),
      input_(spec.input),
      output_(spec.boxes_output),
      tensors_(*engine_, spec.input),
      context_(engine_->create_context()) {
  if (spec.head != Head::kEmbed) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("a model for task {} makes no embeddings; --reid takes one whose output "
                    "is [batch, features]",
                    to_string(spec.task)));
  }
  embedding_size_ = static_cast<int>(row_at(tensors_.outputs(1), output_, 0).size());
}

void Embedder::embed(const Frame& frame, Detections& detections) {
  all_.resize(detections.size());
  std::iota(all_.begin(), all_.end(), 0);
  embed(frame, detections, all_);
}

void Embedder::embed(const Frame& frame, Detections& detections, std::span<const int> objects) {
  const auto size = static_cast<std::size_t>(embedding_size_);
  detections.embedding_size = embedding_size_;
  detections.embeddings.assign(detections.size() * size, 0.0f);
  const auto capacity = static_cast<std::size_t>(tensors_.max_batch());
  for (std::size_t first = 0; first < objects.size(); first += capacity) {
    const auto some = objects.subspan(first, std::min(capacity, objects.size() - first));
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (some[i] < 0 || static_cast<std::size_t>(some[i]) >= detections.size()) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("object {} of {} has no box", some[i], detections.size()));
      }
      preprocess_crop(frame, detections.boxes[static_cast<std::size_t>(some[i])], input_,
                      tensors_.picture(i));
    }
    const auto batch = static_cast<int>(some.size());
    const std::span<const TensorView> outputs = tensors_.outputs(batch);
    context_->enqueue(tensors_.inputs(batch), outputs, batch);
    context_->wait();
    for (std::size_t i = 0; i < some.size(); ++i) {
      const std::span<const float> row = row_at(outputs, output_, static_cast<int>(i));
      const std::span<float> into =
          std::span(detections.embeddings).subspan(static_cast<std::size_t>(some[i]) * size, size);
      std::copy(row.begin(), row.end(), into.begin());
      normalize(into);
    }
  }
}

}  // namespace peregrine::vision
