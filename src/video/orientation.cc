// SPDX-License-Identifier: Apache-2.0
#include "video/orientation.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace peregrine::video {
namespace {

// Transposing strides over one side; in tiles both sides stay in the L1 cache.
constexpr int kTile = 32;

// Element (x, y) of the target is at `origin + x * step_x + y * step_y` in the source.
template <int kBytes>
void gather(const std::uint8_t* origin, std::int64_t step_x, std::int64_t step_y, int width,
            int height, std::uint8_t* target, std::int64_t target_stride) {
  for (int tile_y = 0; tile_y < height; tile_y += kTile) {
    const int end_y = std::min(tile_y + kTile, height);
    for (int tile_x = 0; tile_x < width; tile_x += kTile) {
      const int end_x = std::min(tile_x + kTile, width);
      for (int y = tile_y; y < end_y; ++y) {
        const std::uint8_t* from = origin + y * step_y + tile_x * step_x;
        std::uint8_t* to = target + y * target_stride + std::int64_t{tile_x} * kBytes;
        for (int x = tile_x; x < end_x; ++x, from += step_x, to += kBytes) {
          std::memcpy(to, from, kBytes);
        }
      }
    }
  }
}

}  // namespace

// The matrix maps stored (x, y) to shown (a x + c y, b x + d y), with
// {a, b, u, c, d, v, x, y, w} its nine numbers.
Orientation orientation_of(const std::int32_t* display_matrix) {
  const std::int64_t a = display_matrix[0], b = display_matrix[1];
  const std::int64_t c = display_matrix[3], d = display_matrix[4];
  if (std::llabs(b) + std::llabs(c) > std::llabs(a) + std::llabs(d)) {
    return {.transpose = true, .flip_x = c < 0, .flip_y = b < 0};
  }
  return {.transpose = false, .flip_x = a < 0, .flip_y = d < 0};
}

PlaneWalk walk_plane(const Orientation& orientation, Plane source, int width, int height,
                     int element_bytes) {
  PlaneWalk walk;
  walk.width = orientation.transpose ? height : width;
  walk.height = orientation.transpose ? width : height;
  walk.step_x = orientation.transpose ? source.stride : element_bytes;
  walk.step_y = orientation.transpose ? element_bytes : source.stride;
  walk.origin = source.data;
  if (orientation.flip_x) {
    walk.origin += (walk.width - 1) * walk.step_x;
    walk.step_x = -walk.step_x;
  }
  if (orientation.flip_y) {
    walk.origin += (walk.height - 1) * walk.step_y;
    walk.step_y = -walk.step_y;
  }
  return walk;
}

void orient_plane(const Orientation& orientation, Plane source, int width, int height,
                  int element_bytes, std::uint8_t* target, std::int64_t target_stride) {
  const PlaneWalk walk = walk_plane(orientation, source, width, height, element_bytes);
  if (walk.step_x == element_bytes) {
    for (int y = 0; y < walk.height; ++y) {
      std::memcpy(target + y * target_stride, walk.origin + y * walk.step_y,
                  static_cast<std::size_t>(walk.width) * static_cast<std::size_t>(element_bytes));
    }
    return;
  }
  const auto run = element_bytes == 1 ? gather<1> : element_bytes == 2 ? gather<2> : gather<3>;
  run(walk.origin, walk.step_x, walk.step_y, walk.width, walk.height, target, target_stride);
}

}  // namespace peregrine::video
