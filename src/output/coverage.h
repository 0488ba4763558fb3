// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "peregrine/detections.h"

namespace peregrine::output {

/// A rectangle of pixels, right and bottom outside it.
struct PixelRect {
  int left = 0, top = 0, right = 0, bottom = 0;
  int width() const { return right - left; }
  int height() const { return bottom - top; }
  bool empty() const { return right <= left || bottom <= top; }
  PixelRect intersect(const PixelRect& other) const;
};

/// How much of each pixel of a region a shape covers, 0 to 255. Shapes add up to their union. Its
/// corners are even, so that it covers whole samples of halved chroma.
class Coverage {
 public:
  /// Empties it and moves it to the part of `region` inside `picture`, grown to even corners. Keeps
  /// its memory.
  void reset(const PixelRect& region, const PixelRect& picture);
  const PixelRect& rect() const { return rect_; }
  const std::uint8_t* row(int y) const {
    return alpha_.data() + static_cast<std::size_t>(y - rect_.top) * rect_.width();
  }
  std::uint8_t* row(int y) { return const_cast<std::uint8_t*>(std::as_const(*this).row(y)); }

  void add_rect(const PixelRect& rect);
  /// A line of `radius` half its width with round ends; positions in pixels, centres at halves.
  void add_line(float x0, float y0, float x1, float y1, float radius);
  void add_disc(float x, float y, float radius) { add_line(x, y, x, y, radius); }
  /// `mask` lies at pixel (0, 0) of the picture.
  void add_mask(const Mask& mask);
  /// `bitmap`: `height` rows of `width` coverages, placed at (left, top).
  void add_bitmap(const Plane& bitmap, int width, int height, int left, int top);

 private:
  PixelRect rect_;
  std::vector<std::uint8_t> alpha_;
  std::vector<int> on_since_, edges_, edges_before_, changes_;  // scratch of add_mask
};

}  // namespace peregrine::output
