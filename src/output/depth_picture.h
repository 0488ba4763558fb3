// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "output/overlay_pixels.h"
#include "peregrine/depth.h"

namespace peregrine::output {

/// Width and height of the smallest picture with the aspect of a `source_width` x `source_height`
/// one that keeps every row and column of the map: a square map of a wide picture is widened again,
/// nothing is invented beyond that.
std::pair<int, int> depth_picture_size(const DepthMap& map, int source_width, int source_height);

/// A map brought to another size, row by row: bilinear, cell centres at half-integers, edge cells
/// extended outwards. Holds scratch memory; use one a stream.
class DepthRows {
 public:
  /// `map` must outlive it and hold at least one cell.
  DepthRows(const DepthMap& map, int width, int height);
  /// Row `y`, 0 (`map.min`) to 1 (`map.max`); valid until the next call.
  std::span<const float> row(int y);

 private:
  static std::vector<DepthPlace> places(int cells, int pixels);

  const int cells_a_row_;
  std::vector<float> normalized_;
  const std::vector<DepthPlace> across_, down_;
  std::vector<float> blended_, row_;
};

}  // namespace peregrine::output
