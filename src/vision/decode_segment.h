// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "vision/letterbox.h"
#include "vision/mask_axis.h"

namespace peregrine::vision {

/// Prototypes of one picture: packed [count, height, width]. Never owns.
struct Prototypes {
  const float* data = nullptr;
  int count = 0, height = 0, width = 0;
};

/// Masks at the source's resolution from prototypes and an object's coefficients.
///
/// The logits (coefficients x prototypes) are a field over the model's input, one sample in the
/// centre of each prototype cell. Each source pixel whose centre lies in the box is looked up
/// bilinearly at its place in the input and belongs to the mask where the logit is above 0, which
/// is a probability above 0.5. Holds scratch memory; cost grows with the box, not with the picture.
class MaskDecoder {
 public:
  /// `box` in source pixels; `input` gives the model's size. The result has the source's size.
  Mask decode(const Prototypes& prototypes, std::span<const float> coefficients, const Box& box,
              const Letterbox& letterbox, const InputSpec& input);

 private:
  // Cells that the pixels of an axis touch; `cell` is relative to the first.
  struct Touched {
    int first_cell = 0, cells = 0;
    std::vector<int> cell;
    std::vector<float> weight;  // of the next cell
  };
  static void touch(const MaskAxis& axis, Touched& touched);
  void compute_logits(const Prototypes& prototypes, std::span<const float> coefficients);

  Touched x_, y_;
  std::vector<float> row_;     // logits of one row of cells
  std::vector<float> logits_;  // column-major over the touched cells
  std::vector<float> column_;  // logits along one source column
};

}  // namespace peregrine::vision
