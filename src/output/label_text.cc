// SPDX-License-Identifier: Apache-2.0
#include "output/label_text.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "peregrine/error.h"

namespace peregrine::output {
namespace {

struct SurfaceRelease {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct ContextRelease {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

}  // namespace

struct LabelText::State {
  std::unique_ptr<cairo_surface_t, SurfaceRelease> surface;
  std::unique_ptr<cairo_t, ContextRelease> context;
  int width = 0, height = 0;

  // A new surface only where the old one is too small: labels of one stream are much alike.
  void reserve(int wanted_width, int wanted_height, int size) {
    if (!context || wanted_width > width || wanted_height > height) {
      context.reset();
      width = std::max(width, wanted_width);
      height = std::max(height, wanted_height);
      surface.reset(cairo_image_surface_create(CAIRO_FORMAT_A8, width, height));
      context.reset(cairo_create(surface.get()));
      cairo_select_font_face(context.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                             CAIRO_FONT_WEIGHT_BOLD);
    }
    cairo_set_font_size(context.get(), size);
  }
};

LabelText::LabelText() : state_(std::make_unique<State>()) {}
LabelText::~LabelText() = default;

LabelText::Bitmap LabelText::render(const std::string& text, int size) {
  State& state = *state_;
  state.reserve(16 * size, 2 * size, size);
  cairo_text_extents_t extents;
  cairo_text_extents(state.context.get(), text.c_str(), &extents);
  cairo_font_extents_t font;
  cairo_font_extents(state.context.get(), &font);
  const int width = std::max(1, static_cast<int>(std::ceil(extents.x_advance)));
  const int height = std::max(1, static_cast<int>(std::ceil(font.ascent + font.descent)));
  state.reserve(width, height, size);

  cairo_surface_flush(state.surface.get());
  std::uint8_t* pixels = cairo_image_surface_get_data(state.surface.get());
  const int stride = cairo_image_surface_get_stride(state.surface.get());
  if (pixels == nullptr) {
    throw Error(ErrorCode::kOutOfMemory, "label '" + text + "': Cairo could not make a surface");
  }
  std::memset(pixels, 0, static_cast<std::size_t>(stride) * height);
  cairo_surface_mark_dirty(state.surface.get());
  cairo_move_to(state.context.get(), 0, std::ceil(font.ascent));
  cairo_show_text(state.context.get(), text.c_str());
  cairo_surface_flush(state.surface.get());
  return {{pixels, stride}, width, height};
}

}  // namespace peregrine::output
