// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "peregrine/export.h"

namespace peregrine {

/// How far the points of a picture are, as a model sees it. The map covers the whole picture, edge
/// to edge, at the model's resolution: cell (x, y) lies over the source pixels from
/// (x / width, y / height) to ((x + 1) / width, (y + 1) / height) of the picture's size, whatever
/// its aspect.
struct PEREGRINE_API DepthMap {
  int width = 0, height = 0;
  /// Row-major [height, width], in the model's own units. Depth Anything and MiDaS give relative
  /// inverse depth: larger is nearer, scale and offset differ from frame to frame. Metric models
  /// give metres.
  std::vector<float> values;
  float min = 0, max = 0;  ///< of the finite values; both 0 where there is none

  bool empty() const { return values.empty(); }
  /// Value `cell` on a scale from 0 (`min`) to 1 (`max`); 0 where it is not finite or all are
  /// equal.
  float normalized(std::size_t cell) const;
  /// The middle one of the finite values, of an even count the lower; 0 where there is none. Cost:
  /// O(cells) and a copy of them.
  float median() const;
};

}  // namespace peregrine
