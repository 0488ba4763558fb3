// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "peregrine/engine.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// Host tensors for one execution context of an engine with one picture input, at its largest
/// batch. The pages are touched here: the first batch is as fast as the others.
class EngineTensors {
 public:
  /// Throws `Error(kInvalidShape)` when the engine is not on the CPU, its input is not float32
  /// [batch, 3, height, width] of `input`'s size, or an output is not float32 or of unknown size.
  EngineTensors(const Engine& engine, const InputSpec& input);

  int max_batch() const { return max_batch_; }
  /// Where picture `item` of the batch goes: planar RGB [3, height, width].
  float* picture(std::size_t item);
  /// Views for a batch of 1 to `max_batch()` pictures; valid until the next call.
  std::span<const TensorView> inputs(int batch);
  std::span<const TensorView> outputs(int batch);

 private:
  int max_batch_ = 1;
  std::size_t picture_size_ = 0;
  std::vector<Tensor> input_tensors_, output_tensors_;
  std::vector<TensorView> input_views_, output_views_;
};

}  // namespace peregrine::vision
