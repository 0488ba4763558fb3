// SPDX-License-Identifier: Apache-2.0
// A display list as the GPU's kernel reads it, and the work of one of its threads: two by two
// pixels and the chroma sample that they share. Compiled for the host, too, where the tests run it
// against the CPU's drawing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "output/display_list.h"
#include "output/overlay_pixels.h"

namespace peregrine::output {

struct BlockCommand {
  int left = 0, top = 0, right = 0, bottom = 0;  ///< its region
  DrawCommand::Shape shape = DrawCommand::Shape::kRect;
  std::uint8_t y = 0, u = 0, v = 0;    ///< its colour, in the picture's own matrix and range
  int translucency = 256;              ///< 256: opaque
  std::uint32_t first = 0, count = 0;  ///< strokes, glyphs, or a mask's runs
  int mask_width = 0, mask_height = 0;
};

/// Pointers into one block of memory, of the device or the host; see `OverlayPack`.
struct BlockList {
  const BlockCommand* commands = nullptr;
  const StrokeShape* strokes = nullptr;
  const GlyphPlace* glyphs = nullptr;
  const std::uint32_t* run_ends = nullptr;     ///< of masks: column-major, where each run ends
  const float* depth = nullptr;                ///< 0 to 1; null: none
  const std::uint8_t* depth_colors = nullptr;  ///< [256][3]: y u v of each level
  const std::uint8_t* atlas = nullptr;
  int command_count = 0;
  int depth_width = 0, depth_height = 0, depth_weight = 0;
  int width = 0, height = 0;  ///< of the picture
};

/// Samples of the pixels (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), x and y even.
struct Block {
  int luma[4] = {};
  int u = 0, v = 0;
};

PEREGRINE_HOST_DEVICE bool reaches(const BlockCommand& command, int x, int y, int width,
                                   int height) {
  return x + width > command.left && x < command.right && y + height > command.top &&
         y < command.bottom;
}

/// Whether a mask holds pixel (x, y): its place in column-major order lies in an odd run.
PEREGRINE_HOST_DEVICE bool mask_holds(const BlockList& list, const BlockCommand& command, int x,
                                      int y) {
  if (x >= command.mask_width || y >= command.mask_height) return false;
  const std::uint32_t place =
      static_cast<std::uint32_t>(x) * static_cast<std::uint32_t>(command.mask_height) +
      static_cast<std::uint32_t>(y);
  const std::uint32_t* ends = list.run_ends + command.first;
  std::uint32_t low = 0, high = command.count;  // the first run that ends behind it
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    if (ends[middle] > place) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low < command.count && low % 2 == 1;
}

PEREGRINE_HOST_DEVICE int glyphs_alpha(const BlockList& list, const BlockCommand& command, int x,
                                       int y) {
  int alpha = 0;
  for (std::uint32_t i = 0; i < command.count; ++i) {
    const GlyphPlace& glyph = list.glyphs[command.first + i];
    const int column = x - glyph.left, row = y - glyph.top;
    if (column < 0 || row < 0 || column >= glyph.width || row >= glyph.height) continue;
    const int covered = list.atlas[glyph.offset + static_cast<std::uint32_t>(row * glyph.width) +
                                   static_cast<std::uint32_t>(column)];
    alpha = covered > alpha ? covered : alpha;
  }
  return alpha;
}

/// How much of pixel (x, y) the command covers, 0 to 255.
PEREGRINE_HOST_DEVICE int alpha_of(const BlockList& list, const BlockCommand& command, int x,
                                   int y) {
  int alpha = 0;
  switch (command.shape) {
    case DrawCommand::Shape::kRect: return reaches(command, x, y, 1, 1) ? 255 : 0;
    case DrawCommand::Shape::kStrokes:
      for (std::uint32_t i = 0; i < command.count; ++i) {
        const int covered = stroke_alpha(list.strokes[command.first + i], x, y);
        alpha = covered > alpha ? covered : alpha;
      }
      return alpha;
    case DrawCommand::Shape::kMask: return mask_holds(list, command, x, y) ? 255 : 0;
    case DrawCommand::Shape::kGlyphs: return glyphs_alpha(list, command, x, y);
  }
  return 0;
}

/// `Canvas::paint` for one block.
PEREGRINE_HOST_DEVICE void draw_command(const BlockList& list, const BlockCommand& command, int x,
                                        int y, Block& block) {
  int sum = 0;
  PEREGRINE_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int alpha = alpha_of(list, command, x + i % 2, y + i / 2);
    const int weight = scale_weight(weight_of(alpha), command.translucency);
    block.luma[i] = blend(block.luma[i], command.y, weight);
    sum += alpha;
  }
  const int weight = scale_weight(weight_of_four(sum), command.translucency);
  block.u = blend(block.u, command.u, weight);
  block.v = blend(block.v, command.v, weight);
}

PEREGRINE_HOST_DEVICE int depth_level_at(const BlockList& list, int x, int y) {
  // An odd side's last pixel is there twice.
  x = x < list.width ? x : list.width - 1;
  y = y < list.height ? y : list.height - 1;
  const DepthPlace across = depth_place(x, list.width, list.depth_width);
  const DepthPlace down = depth_place(y, list.height, list.depth_height);
  const float* upper = list.depth + static_cast<std::ptrdiff_t>(down.cell) * list.depth_width;
  const float* lower = list.depth + static_cast<std::ptrdiff_t>(down.next) * list.depth_width;
  const float left = mix(upper[across.cell], lower[across.cell], down.weight);
  const float right = mix(upper[across.next], lower[across.next], down.weight);
  return depth_level(mix(left, right, across.weight));
}

/// `Canvas::paint_levels` for one block.
PEREGRINE_HOST_DEVICE void draw_depth(const BlockList& list, int x, int y, Block& block) {
  int sum = 2;
  PEREGRINE_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int level = depth_level_at(list, x + i % 2, y + i / 2);
    block.luma[i] = blend(block.luma[i], list.depth_colors[3 * level], list.depth_weight);
    sum += level;
  }
  const std::uint8_t* color = list.depth_colors + 3 * (sum / 4);
  block.u = blend(block.u, color[1], list.depth_weight);
  block.v = blend(block.v, color[2], list.depth_weight);
}

}  // namespace peregrine::output
