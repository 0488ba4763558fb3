// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "peregrine/engine.h"
#include "vision/output_decoder.h"

namespace peregrine::vision {

/// Raw outputs of a batch to its answers, on the GPU: threshold, compaction, suppression,
/// keypoints, masks. What comes down is one block of results a batch. The same answers in the same
/// order as `OutputDecoder` gives for the same outputs. One batch in flight; one a worker.
class GpuOutputDecoder {
 public:
  virtual ~GpuOutputDecoder() = default;
  /// Enqueues the decoding of `letterboxes.size()` pictures and the way down of their results.
  /// `outputs`: device memory in the order of the engine's outputs, float32, packed, each
  /// `[batch, ...]` with at least that many pictures; alive until the stream has come so far, of a
  /// segmentation model until the answers have been read: masks that find no room in what is
  /// copied ahead are computed when they are asked for.
  /// Allocates nothing, waits for nothing. Throws `Error(kInvalidArgument)`,
  /// `Error(kInvalidShape)`, `Error(kGpu)`.
  virtual void enqueue(std::span<const TensorView> outputs, std::span<const Letterbox> letterboxes,
                       StreamHandle stream) = 0;
  /// The answer for picture `item` of that batch, once the caller has waited for the stream and
  /// before the next batch: fills what `OutputDecoder::decode` fills. Throws
  /// `Error(kInvalidArgument)` for a picture that the batch does not have, `Error(kGpu)`.
  virtual void read(int item, FrameResult& result) = 0;
};

/// For engines with these outputs (shape[0] may be -1) and batches of up to `max_batch`; allocates
/// everything on the current device. Throws `Error(kTaskUnknown)` for a task without a decoder on
/// the GPU, `Error(kInvalidShape)` for outputs that `spec` does not describe,
/// `Error(kInvalidArgument)` for a class that the model does not have, `Error(kOutOfMemory)`.
std::unique_ptr<GpuOutputDecoder> make_gpu_output_decoder(const TaskSpec& spec,
                                                          const DecodeOptions& options,
                                                          std::span<const TensorSpec> outputs,
                                                          int max_batch);

}  // namespace peregrine::vision
