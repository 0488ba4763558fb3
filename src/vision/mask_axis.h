// SPDX-License-Identifier: Apache-2.0
// Where source pixels lie between the cells of mask prototypes: the same numbers on every device.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/host_device.h"
#include "vision/letterbox.h"

namespace peregrine::vision {

/// One axis of an object's mask: the source pixels whose centres lie in its box, and their map to
/// prototype cells.
struct MaskAxis {
  int begin = 0, end = 0;  ///< source pixels
  float scale = 1, pad = 0;
  float cells_per_input = 1;
  int cell_count = 1;

  struct Place {
    int cell = 0;      ///< the next one is min(cell + 1, cell_count - 1)
    float weight = 0;  ///< of the next one
  };
  PEREGRINE_HOST_DEVICE Place at(int pixel) const {
    const double in_input = (static_cast<double>(pixel) + 0.5) * scale + pad;
    const double place = std::clamp(in_input * cells_per_input - 0.5, 0.0, cell_count - 1.0);
    // The last cell is reached as the right end of the one before it, so that a next one exists.
    const int cell = std::min(static_cast<int>(place), std::max(cell_count - 2, 0));
    return {cell, static_cast<float>(place - cell)};
  }
  PEREGRINE_HOST_DEVICE int size() const { return end - begin; }
};

/// The field of logits that prototypes span over the model's input.
struct MaskField {
  int input_width = 0, input_height = 0;
  int width = 0, height = 0;  ///< cells
};

PEREGRINE_HOST_DEVICE MaskAxis mask_axis(float low, float high, int source_size, float scale,
                                         float pad, int input_size, int cell_count) {
  // Pixel p is inside when low <= p + 0.5 < high.
  MaskAxis axis;
  axis.begin = std::clamp(static_cast<int>(std::ceil(low - 0.5f)), 0, source_size);
  axis.end = std::clamp(static_cast<int>(std::ceil(high - 0.5f)), axis.begin, source_size);
  axis.scale = scale;
  axis.pad = pad;
  axis.cells_per_input = static_cast<float>(cell_count) / static_cast<float>(input_size);
  axis.cell_count = cell_count;
  return axis;
}
/// Of the mask of a box in source pixels.
PEREGRINE_HOST_DEVICE MaskAxis mask_columns(const MaskField& field, const Box& box,
                                            const Letterbox& letterbox) {
  return mask_axis(box.x1, box.x2, letterbox.source_width, letterbox.scale_x, letterbox.pad_x,
                   field.input_width, field.width);
}
PEREGRINE_HOST_DEVICE MaskAxis mask_rows(const MaskField& field, const Box& box,
                                         const Letterbox& letterbox) {
  return mask_axis(box.y1, box.y2, letterbox.source_height, letterbox.scale_y, letterbox.pad_y,
                   field.input_height, field.height);
}

PEREGRINE_HOST_DEVICE float between(float a, float b, float weight) { return a + (b - a) * weight; }

/// Whether a pixel between two cells of a column belongs to the mask. Between two of one sign it
/// has that sign, whatever rounding says.
PEREGRINE_HOST_DEVICE bool in_mask(float above, float below, float weight) {
  return (above > 0) == (below > 0) ? above > 0 : between(above, below, weight) > 0;
}

}  // namespace peregrine::vision
