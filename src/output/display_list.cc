// SPDX-License-Identifier: Apache-2.0
#include "output/display_list.h"

#include <algorithm>

#include "output/depth_picture.h"
#include "output/overlay_pixels.h"

namespace peregrine::output {

using Shape = DrawCommand::Shape;

namespace {

void draw_depth(const DepthMap& depth, Canvas& canvas, std::vector<std::uint8_t>& levels) {
  const int width = canvas.bounds().width(), height = canvas.bounds().height();
  DepthRows rows(depth, width, height);
  levels.clear();
  for (int y = 0; y < height + height % 2; ++y) {  // the last row and column again, to even sides
    for (const float value : rows.row(std::min(y, height - 1)))
      levels.push_back(depth_level(value));
    if (width % 2 == 1) levels.push_back(levels.back());
  }
  canvas.paint_levels(levels, heat_scale(), kDepthOpacity);
}

}  // namespace

void DisplayList::clear() {
  depth = nullptr;
  commands.clear();
  strokes.clear();
  glyphs.clear();
  masks.clear();
}

void DisplayList::add_rect(const PixelRect& rect, Color color, float opacity) {
  commands.push_back({Shape::kRect, color, opacity, rect, 0, 0});
}

void DisplayList::add_strokes(const PixelRect& region, std::span<const Stroke> added, Color color) {
  commands.push_back({Shape::kStrokes, color, 1, region, static_cast<std::uint32_t>(strokes.size()),
                      static_cast<std::uint32_t>(added.size())});
  strokes.insert(strokes.end(), added.begin(), added.end());
}

void DisplayList::add_mask(const PixelRect& region, const Mask& mask, Color color, float opacity) {
  commands.push_back(
      {Shape::kMask, color, opacity, region, static_cast<std::uint32_t>(masks.size()), 1});
  masks.push_back(&mask);
}

void DisplayList::add_glyphs(const PixelRect& region, std::size_t first, Color color) {
  commands.push_back({Shape::kGlyphs, color, 1, region, static_cast<std::uint32_t>(first),
                      static_cast<std::uint32_t>(glyphs.size() - first)});
}

void draw(const DisplayList& list, std::span<const std::uint8_t> atlas, Canvas& canvas,
          DrawScratch& scratch) {
  if (list.depth) draw_depth(*list.depth, canvas, scratch.levels);
  Coverage& coverage = scratch.coverage;
  for (const DrawCommand& command : list.commands) {
    coverage.reset(command.region, canvas.bounds());
    switch (command.shape) {
      case Shape::kRect: coverage.add_rect(command.region); break;
      case Shape::kStrokes:
        for (const Stroke& stroke : std::span(list.strokes).subspan(command.first, command.count)) {
          coverage.add_line(stroke.x0, stroke.y0, stroke.x1, stroke.y1, stroke.radius);
        }
        break;
      case Shape::kMask: coverage.add_mask(*list.masks[command.first]); break;
      case Shape::kGlyphs:
        for (const GlyphPlace& glyph :
             std::span(list.glyphs).subspan(command.first, command.count)) {
          coverage.add_bitmap({atlas.data() + glyph.offset, glyph.width}, glyph.width, glyph.height,
                              glyph.left, glyph.top);
        }
        break;
    }
    canvas.paint(coverage, command.color, command.opacity);
  }
}

}  // namespace peregrine::output
