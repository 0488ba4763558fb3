// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "peregrine/detections.h"
#include "peregrine/engine.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// Appearance of objects (ReID): their crops through an embedding model, as many at a time as the
/// engine takes. One a thread.
class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual int embedding_size() const = 0;
  /// Fills `detections.embeddings` with a unit-length row for each object of `objects` (indices)
  /// and zeros for the others. `frame` is the picture that they were found in, on the embedder's
  /// device. Blocks. Throws `Error(kInvalidArgument)` for another frame or an index out of range,
  /// `Error(kEngine)` or `Error(kGpu)` when the engine fails; the embeddings are then unspecified.
  virtual void embed(const Frame& frame, Detections& detections, std::span<const int> objects) = 0;
  /// The same for every object.
  void embed(const Frame& frame, Detections& detections);
};

/// Throws `Error(kInvalidArgument)` when a task makes no embeddings.
void check_embeds(const TaskSpec& spec);
/// Makes room for the embeddings, zeroed. Throws `Error(kInvalidArgument)` for an index out of
/// range.
void clear_embeddings(Detections& detections, int size, std::span<const int> objects);

/// Host frames, an engine on the CPU, an execution context and tensors of its own. Throws as
/// `check_embeds`, and `Error(kInvalidShape)` when the engine's tensors are not what `spec` says.
std::unique_ptr<Embedder> make_cpu_embedder(std::shared_ptr<const Engine> engine,
                                            const TaskSpec& spec);

/// Device frames (and host frames, whose pictures then go up), an engine on a GPU. What is made by
/// one call of it shares batches: while one runs, the crops of all streams gather for the next.
/// The returned function may be called from any thread and outlives nothing. Throws as
/// `make_cpu_embedder`, `Error(kOutOfMemory)`, `Error(kGpu)` also in a build without CUDA.
std::function<std::unique_ptr<Embedder>()> make_gpu_embedders(std::shared_ptr<const Engine> engine,
                                                              const TaskSpec& spec);

}  // namespace peregrine::vision
