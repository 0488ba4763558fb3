// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "peregrine/detections.h"
#include "peregrine/engine.h"
#include "vision/engine_tensors.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// Appearance of objects (ReID): their crops through an embedding model, as many at a time as the
/// engine takes. Has its own execution context and tensors; one a thread.
class Embedder {
 public:
  /// Throws `Error(kInvalidArgument)` when `spec` is no embedding model, `Error(kInvalidShape)`
  /// when the engine's tensors are not what it describes.
  Embedder(std::shared_ptr<const Engine> engine, const TaskSpec& spec);

  int embedding_size() const { return embedding_size_; }

  /// Fills `detections.embeddings` with a unit-length row for each object of `objects` (indices)
  /// and zeros for the others. `frame` is the picture, on the host, that they were found in.
  /// Blocks. Throws `Error(kInvalidArgument)` for another frame or an index out of range,
  /// `Error(kEngine)` when the engine fails; the embeddings are then unspecified.
  void embed(const Frame& frame, Detections& detections, std::span<const int> objects);
  /// The same for every object.
  void embed(const Frame& frame, Detections& detections);

 private:
  const std::shared_ptr<const Engine> engine_;
  const InputSpec input_;
  const int output_;
  EngineTensors tensors_;
  const std::unique_ptr<ExecutionContext> context_;
  int embedding_size_ = 0;
  std::vector<int> all_;
};

}  // namespace peregrine::vision
