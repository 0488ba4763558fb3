// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "peregrine/engine.h"
#include "video/source.h"
#include "vision/letterbox.h"
#include "vision/task_spec.h"

namespace peregrine::eval {

/// Inputs for a model, batch by batch: seeded noise, or pictures of videos and folders as `run`
/// would prepare them.
class ModelInputs {
 public:
  /// Noise: `count` pictures, floats uniform in [0, 1), integers below 8.
  ModelInputs(std::vector<TensorSpec> specs, std::uint64_t seed, int count);
  /// Up to `count` pictures of `sources` (as `run` takes them), each `every`th. Throws
  /// `Error(kInputNotFound)` and what opening throws.
  ModelInputs(std::vector<TensorSpec> specs, const vision::InputSpec& input,
              const std::vector<std::string>& sources, int count, std::int64_t every);

  /// Makes up to `limit` more pictures; how many there were, 0 at the end. `tensors()` then holds
  /// them, [limit or fewer, ...] each.
  int next(int limit);
  const std::vector<Tensor>& tensors() const { return tensors_; }
  std::vector<TensorView> views();
  bool are_pictures() const { return !sources_.empty(); }
  /// Of each picture of the batch, where they are pictures.
  const std::vector<vision::Letterbox>& letterboxes() const { return letterboxes_; }
  const std::vector<FrameInfo>& frames() const { return frames_; }

 private:
  int next_noise(int limit);
  int next_pictures(int limit);
  bool read(Frame& frame);

  const std::vector<TensorSpec> specs_;
  int left_;
  std::mt19937_64 random_;
  vision::InputSpec input_;
  std::vector<video::SourceSpec> sources_;
  video::SourceOptions source_options_;
  std::size_t at_ = 0;
  std::unique_ptr<video::Source> open_;
  std::vector<Tensor> tensors_;
  std::vector<vision::Letterbox> letterboxes_;
  std::vector<FrameInfo> frames_;
};

}  // namespace peregrine::eval
