// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "output/canvas.h"
#include "output/glyph_atlas.h"

namespace peregrine::output {

/// A line with round ends; positions in pixels, centres at halves.
struct Stroke {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  float radius = 0;  ///< half its width
};

/// One shape in one colour, over all that came before it.
struct DrawCommand {
  enum class Shape : std::uint8_t { kRect, kStrokes, kMask, kGlyphs };
  Shape shape = Shape::kRect;
  Color color;
  float opacity = 1;
  PixelRect region;  ///< a rectangle itself; of the other shapes, what they are cut to
  std::uint32_t first = 0, count = 0;  ///< of the list's strokes (whose union it is), masks, glyphs
};

/// All that is drawn on a picture, in order. Holds for the CPU (`draw`) and for the GPU
/// (overlay_cuda.h), which give the same bytes.
struct DisplayList {
  const DepthMap* depth = nullptr;  ///< laid over the picture first; likewise of the answer
  std::vector<DrawCommand> commands;
  std::vector<Stroke> strokes;
  std::vector<GlyphPlace> glyphs;  ///< of the atlas that they were laid out with
  std::vector<const Mask*> masks;  ///< of the answer that is drawn, which must outlive the list

  void clear();
  void add_rect(const PixelRect& rect, Color color, float opacity = 1);
  void add_strokes(const PixelRect& region, std::span<const Stroke> strokes, Color color);
  /// `mask` lies at pixel (0, 0) of the picture.
  void add_mask(const PixelRect& region, const Mask& mask, Color color, float opacity);
  /// The glyphs from `first` on, which the caller has appended.
  void add_glyphs(const PixelRect& region, std::size_t first, Color color);
};

/// How much of the picture gives way to the colours of depth: its contours stay to be seen.
constexpr float kDepthOpacity = 0.7f;

/// Memory that `draw` keeps between pictures.
struct DrawScratch {
  Coverage coverage;
  std::vector<std::uint8_t> levels;
};
/// Draws on the CPU. `atlas`: the coverages of the list's glyphs.
void draw(const DisplayList& list, std::span<const std::uint8_t> atlas, Canvas& canvas,
          DrawScratch& scratch);

}  // namespace peregrine::output
