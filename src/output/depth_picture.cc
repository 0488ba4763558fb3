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

std::vector<DepthRows::Place> DepthRows::places(int cells, int pixels) {
  std::vector<Place> places;
  places.reserve(static_cast<std::size_t>(pixels));
  for (int i = 0; i < pixels; ++i) {
    const double at = std::clamp((i + 0.5) * cells / pixels - 0.5, 0.0, cells - 1.0);
    const int cell = static_cast<int>(at);
    places.push_back({cell, std::min(cell + 1, cells - 1), static_cast<float>(at - cell)});
  }
  return places;
}

std::span<const float> DepthRows::row(int y) {
  const Place& place = down_[static_cast<std::size_t>(y)];
  const float* upper = normalized_.data() + static_cast<std::ptrdiff_t>(place.cell) * cells_a_row_;
  const float* lower = normalized_.data() + static_cast<std::ptrdiff_t>(place.next) * cells_a_row_;
  for (std::size_t i = 0; i < blended_.size(); ++i) {
    blended_[i] = upper[i] + (lower[i] - upper[i]) * place.weight;
  }
  for (std::size_t i = 0; i < row_.size(); ++i) {
    const Place& at = across_[i];
    const float left = blended_[static_cast<std::size_t>(at.cell)];
    row_[i] = left + (blended_[static_cast<std::size_t>(at.next)] - left) * at.weight;
  }
  return row_;
}

}  // namespace peregrine::output
