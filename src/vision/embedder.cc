// SPDX-License-Identifier: Apache-2.0
#include "vision/embedder.h"

#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::vision {

void Embedder::embed(const Frame& frame, Detections& detections) {
  std::vector<int> all(detections.size());
  std::iota(all.begin(), all.end(), 0);
  embed(frame, detections, all);
}

void check_embeds(const TaskSpec& spec) {
  if (spec.head == Head::kEmbed) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("a model for task {} makes no embeddings; --reid takes one whose output "
                          "is [batch, features]",
                          to_string(spec.task)));
}

void clear_embeddings(Detections& detections, int size, std::span<const int> objects) {
  detections.embedding_size = size;
  detections.embeddings.assign(detections.size() * static_cast<std::size_t>(size), 0.0f);
  for (const int object : objects) {
    if (object >= 0 && static_cast<std::size_t>(object) < detections.size()) continue;
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("object {} of {} has no box", object, detections.size()));
  }
}

}  // namespace peregrine::vision
