// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "output/palette.h"
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

/// Draws on a host picture in its own format (planar or interleaved YUV, RGB, grey), with its own
/// colour matrix and range: a picture is never converted to be drawn on.
class Canvas {
 public:
  /// `picture` must be writable host memory that outlives the canvas; see
  /// `require_host_picture`.
  explicit Canvas(const Frame& picture);
  PixelRect bounds() const { return {0, 0, width_, height_}; }
  /// Blends `color` over what `coverage` covers; `opacity` in [0, 1].
  void paint(const Coverage& coverage, Color color, float opacity = 1);

 private:
  // One component: where its sample of pixel (0, 0) lies, and how samples follow each other.
  struct Channel {
    std::uint8_t* data = nullptr;
    std::int64_t stride = 0;
    int step = 1;
    bool halved = false;
  };
  void blend(const Channel& channel, int x, int y, int count, int value) const;
  std::array<int, 3> components_of(Color color) const;

  int width_, height_;
  PixelFormat format_;
  ColorMatrix matrix_;
  ColorRange range_;
  int channel_count_ = 0;
  std::array<Channel, 3> channels_;
  std::vector<std::uint16_t> weights_;  // of one row of samples, 0 to 256
};

/// Weights of R, G and B in luma (BT.601, 709 or 2020).
struct LumaWeights {
  double r, g, b;
};
LumaWeights luma_weights(ColorMatrix matrix);

/// Throws `Error(kInvalidArgument)` unless `frame` holds a picture in host memory in 8-bit samples.
void require_host_picture(const Frame& frame);
/// A host copy of `frame` in packed planes of its format. Takes over `memory` if nobody else holds
/// it and it is large enough, else replaces it. See `require_host_picture`.
Frame copy_picture(const Frame& frame, std::shared_ptr<std::vector<std::uint8_t>>& memory);

}  // namespace peregrine::output
