// SPDX-License-Identifier: Apache-2.0
#include "output/glyph_atlas.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>

#include "peregrine/error.h"

namespace peregrine::output {
namespace {

struct SurfaceRelease {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct ContextRelease {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

// Bytes of the UTF-8 sequence that `first` begins.
std::size_t sequence_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

// Room for one letter of a size, with as much around its pen's place as letters may reach.
struct GlyphAtlas::Drawing {
  explicit Drawing(int size_)
      : size(size_),
        side(4 * size_),
        surface(cairo_image_surface_create(CAIRO_FORMAT_A8, side, side)),
        context(cairo_create(surface.get())) {
    cairo_select_font_face(context.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(context.get(), size);
    cairo_font_extents_t font;
    cairo_font_extents(context.get(), &font);
    ascent = static_cast<int>(std::ceil(font.ascent));
    line_height = std::max(1, static_cast<int>(std::ceil(font.ascent + font.descent)));
  }

  int size, side;
  std::unique_ptr<cairo_surface_t, SurfaceRelease> surface;
  std::unique_ptr<cairo_t, ContextRelease> context;
  int ascent = 0, line_height = 0;
};

GlyphAtlas::GlyphAtlas() = default;
GlyphAtlas::~GlyphAtlas() = default;

const GlyphAtlas::Glyph& GlyphAtlas::glyph(const std::string& letter, int size) {
  const auto [found, fresh] = glyphs_.try_emplace({size, letter});
  Glyph& made = found->second;
  if (!fresh) return made;
  cairo_t* context = drawing_->context.get();
  cairo_text_extents_t extents;
  cairo_text_extents(context, letter.c_str(), &extents);
  made.advance = extents.x_advance;

  const int side = drawing_->side, pen = size;  // one size from the left and the top
  cairo_set_operator(context, CAIRO_OPERATOR_CLEAR);
  cairo_paint(context);
  cairo_set_operator(context, CAIRO_OPERATOR_OVER);
  cairo_move_to(context, pen, pen + drawing_->ascent);
  cairo_show_text(context, letter.c_str());
  cairo_surface_flush(drawing_->surface.get());
  const std::uint8_t* drawn = cairo_image_surface_get_data(drawing_->surface.get());
  const int stride = cairo_image_surface_get_stride(drawing_->surface.get());
  if (drawn == nullptr) {
    throw Error(ErrorCode::kOutOfMemory, "letter '" + letter + "': Cairo could not make a surface");
  }

  int left = side, top = side, right = 0, bottom = 0;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      if (drawn[y * stride + x] == 0) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = y + 1;
    }
  }
  if (right <= left) return made;  // a blank
  made.place = {left - pen, top - pen, right - left, bottom - top,
                static_cast<std::uint32_t>(pixels_.size())};
  for (int y = top; y < bottom; ++y) {
    pixels_.insert(pixels_.end(), drawn + y * stride + left, drawn + y * stride + right);
  }
  return made;
}

GlyphAtlas::LineSize GlyphAtlas::lay_out(const std::string& text, int size,
                                         std::vector<GlyphPlace>& places) {
  if (!drawing_ || drawing_->size != size) drawing_ = std::make_unique<Drawing>(size);
  double pen = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text[at]);
    const Glyph& each = glyph(text.substr(at, length), size);
    at += length;
    if (each.place.width > 0) {
      places.push_back(each.place);
      places.back().left += static_cast<int>(std::lround(pen));
    }
    pen += each.advance;
  }
  return {std::max(1, static_cast<int>(std::ceil(pen))), drawing_->line_height};
}

}  // namespace peregrine::output
