// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "output/coverage.h"
#include "output/palette.h"
#include "peregrine/frame.h"

namespace peregrine::output {

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
  /// Blends over each pixel of the picture the color of its level. `levels`: as many pixels as the
  /// picture has, sides rounded up to even, row-major.
  void paint_levels(std::span<const std::uint8_t> levels, const ColorScale& colors, float opacity);

 private:
  // One component: where its sample of pixel (0, 0) lies, and how samples follow each other.
  struct Channel {
    std::uint8_t* data = nullptr;
    std::int64_t stride = 0;
    int step = 1;
    bool halved = false;
  };
  void blend(const Channel& channel, int x, int y, int count, int value) const;

  int width_, height_;
  PixelFormat format_;
  ColorMatrix matrix_;
  ColorRange range_;
  int channel_count_ = 0;
  std::array<Channel, 3> channels_;
  std::vector<std::uint16_t> weights_;  // of one row of samples, 0 to 256
};

/// A colour as a picture of that format, matrix and range holds it: Y Cb Cr, R G B, or grey first.
std::array<int, 3> components_of(Color color, PixelFormat format, ColorMatrix matrix,
                                 ColorRange range);
/// An opacity in [0, 1] as the weight of what is opaque, 0 to 256.
int translucency_of(float opacity);

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
