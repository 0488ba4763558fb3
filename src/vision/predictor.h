// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "peregrine/detections.h"
#include "peregrine/engine.h"
#include "vision/output_decoder.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// Where the time of one batch went, in nanoseconds of wall clock.
struct PredictTimes {
  std::int64_t preprocess = 0;
  std::int64_t infer = 0;  ///< from enqueue until the engine was done or, if later, `collect`
  std::int64_t decode = 0;
};

/// Frames in, answers out: preprocess, engine and output decoding of one worker, with its own
/// execution context and tensors. One batch in flight; not thread-safe. Workers overlap by having
/// one predictor each.
class Predictor {
 public:
  virtual ~Predictor() = default;
  /// The most frames one `submit` takes.
  virtual int max_batch() const = 0;
  /// Preprocesses `frames` (1 to `max_batch()`, any mix of sizes) and starts inference. The pixels
  /// have been read when it returns: the frames may be released. Throws `Error(kInvalidArgument)`
  /// for an empty, oversized or second batch, a frame on another device or without pixels;
  /// `Error(kEngine)` or `Error(kGpu)` when the engine fails.
  virtual void submit(std::span<const Frame> frames) = 0;
  /// Waits for the batch and decodes it into `results`, one a submitted frame, in order; `frame` of
  /// each is filled too, all else that a result held before is replaced. Throws
  /// `Error(kInvalidArgument)` when the count differs from what was submitted, `Error(kEngine)` or
  /// `Error(kGpu)` when inference failed; the predictor is then ready for another `submit`.
  virtual PredictTimes collect(std::span<FrameResult> results) = 0;
};

/// Checks that every predictor makes of a batch. Throws `Error(kInvalidArgument)`.
void check_batch(std::span<const Frame> frames, int max_batch, bool in_flight);

/// Host frames, an engine on the CPU. Memory is allocated here, for `engine->max_batch()` pictures.
/// Throws `Error(kInvalidShape)` when the engine's tensors are not what `spec` describes.
std::unique_ptr<Predictor> make_cpu_predictor(std::shared_ptr<const Engine> engine,
                                              const TaskSpec& spec, const DecodeOptions& options);

/// Frames, engine and output decoding on one GPU; only results come down. Frames that the CPU
/// decoded are taken too: their pictures go up, which the ledger shows (strict mode refuses them
/// where they are decoded). Frames are let go of as soon as the GPU has read them, in `collect`.
/// All device memory is allocated here, for the engine's largest batch; nothing after the first
/// batch of each size. Throws `Error(kInvalidShape)` when the engine's tensors are not what `spec`
/// describes, `Error(kOutOfMemory)`, `Error(kGpu)` also in a build without CUDA.
std::unique_ptr<Predictor> make_gpu_predictor(std::shared_ptr<const Engine> engine,
                                              const TaskSpec& spec, const DecodeOptions& options);

}  // namespace peregrine::vision
