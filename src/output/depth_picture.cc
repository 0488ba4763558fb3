// SPDX-License-Identifier: Apache-2.0
#include "output/depth_picture.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace peregrine::output {

std::pair<int, int> depth_picture_size(const DepthMap& map, int source_width, int source_height) {
  const double scale = std::max(static_cast<double>(map.width) / source_width,
                                static_cast<double>(map.height) / source_height);
  const auto side = [scale](int whole, int least) {
    return std::max(static_cast<int>(std::lround(whole * scale)), least);
  };
  return {side(source_width, map.width), side(source_height, map.height)};
}

DepthRows::DepthRows(const DepthMap& map, int width, int height)
    : cells_a_row_(map.width),
      normalized_(map.values.size()),
      across_(places(map.width, width)),
      down_(places(map.height, height)),
      blended_(static_cast<std::size_t>(map.width)),
      row_(static_cast<std::size_t>(width)) {
  for (std::size_t i = 0; i < normalized_.size(); ++i) normalized_[i] = map.normalized(i);
}

std::vector<DepthPlace> DepthRows::places(int cells, int pixels) {
  std::vector<DepthPlace> places;
  places.reserve(static_cast<std::size_t>(pixels));
  for (int i = 0; i < pixels; ++i) places.push_back(depth_place(i, pixels, cells));
  return places;
}

std::span<const float> DepthRows::row(int y) {
  const DepthPlace& place = down_[static_cast<std::size_t>(y)];
  const float* upper = normalized_.data() + static_cast<std::ptrdiff_t>(place.cell) * cells_a_row_;
  const float* lower = normalized_.data() + static_cast<std::ptrdiff_t>(place.next) * cells_a_row_;
  for (std::size_t i = 0; i < blended_.size(); ++i) {
    blended_[i] = mix(upper[i], lower[i], place.weight);
  }
  for (std::size_t i = 0; i < row_.size(); ++i) {
    const DepthPlace& at = across_[i];
    row_[i] = mix(blended_[static_cast<std::size_t>(at.cell)],
                  blended_[static_cast<std::size_t>(at.next)], at.weight);
  }
  return row_;
}

}  // namespace peregrine::output
