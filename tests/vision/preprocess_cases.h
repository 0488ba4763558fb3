// SPDX-License-Identifier: Apache-2.0
// What the preprocessing kernel must do, for whoever runs it: the GPU, or the host with the same
// code.
#pragma once

#include <functional>
#include <vector>

#include "peregrine/tensor.h"
#include "vision/letterbox.h"

namespace peregrine::vision {

/// How the output lies in memory.
enum class Layout {
  kPlanar,        ///< packed [pictures, 3, height, width]
  kChannelsLast,  ///< packed [pictures, height, width, 3]
  kHalfPixels,    ///< as picture_input.h: [pictures, height, width, 4], the fourth left alone
  kPadded,        ///< planar with odd gaps after each row, channel and picture
};

/// A batch on the host and what is to become of it.
struct PreprocessCase {
  std::vector<Frame> frames;
  std::vector<Box> crops;  ///< one a frame; none: whole frames
  InputSpec input;
  DType dtype = DType::kFloat32;
  Layout layout = Layout::kPlanar;

  /// The output, at `data` in the memory of a GPU.
  TensorView output(void* data) const;
  /// Elements from `data` to the end of the output, gaps included.
  std::size_t elements() const;
  ResampleJob job(std::size_t picture) const;
};

/// Preprocesses a case; returns the `elements()` of the output, NaN where nothing was written.
using RunCase = std::function<std::vector<float>(const PreprocessCase&)>;

/// The largest difference to the double-precision reference in levels of 0 to 255, beyond what
/// rounding to the output's type explains; infinite where something is missing or a gap was
/// written.
double worst_level(const PreprocessCase& one, const std::vector<float>& got);

// Each fails the running test where `run` is wrong.
void check_every_color(const RunCase& run);
void check_every_size(const RunCase& run);
void check_every_ratio(const RunCase& run);
void check_mixed_batch(const RunCase& run);
void check_crops(const RunCase& run);
/// Returns the largest difference to `preprocess` on the CPU, in levels.
double check_against_cpu(const RunCase& run);

}  // namespace peregrine::vision
