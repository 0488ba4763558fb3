// SPDX-License-Identifier: Apache-2.0
#include "video/synth/painter.h"

#include <cairo.h>
#include <fmt/format.h>

#include <cstring>
#include <numbers>

#include "peregrine/error.h"

namespace peregrine::synth {

Color from_hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue * 6.0, 6.0);
    return value * (1 - saturation * std::clamp(std::min(k, 4.0 - k), 0.0, 1.0));
  };
  return {channel(5), channel(3), channel(1)};
}

Painter::Painter(int width, int height) : width_(width), height_(height) {
  surface_ = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height);
  cairo_ = cairo_create(surface_);
  if (cairo_status(cairo_) != CAIRO_STATUS_SUCCESS) {
    cairo_destroy(cairo_);
    cairo_surface_destroy(surface_);
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("synthetic world: no memory for a {} x {} picture", width, height));
  }
  data_ = cairo_image_surface_get_data(surface_);
  stride_ = cairo_image_surface_get_stride(surface_);
  cairo_set_line_cap(cairo_, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
  // A tolerance of a quarter pixel instead of a tenth halves the corners of a circle, unseen.
  cairo_set_tolerance(cairo_, 0.25);
}

Painter::~Painter() {
  cairo_destroy(cairo_);
  cairo_surface_destroy(surface_);
}

const std::uint32_t* Painter::row(int y) const {
  return reinterpret_cast<const std::uint32_t*>(data_ + static_cast<std::ptrdiff_t>(stride_) * y);
}
std::uint32_t* Painter::row(int y) {
  return reinterpret_cast<std::uint32_t*>(data_ + static_cast<std::ptrdiff_t>(stride_) * y);
}
void Painter::flush() { cairo_surface_flush(surface_); }
void Painter::touched() { cairo_surface_mark_dirty(surface_); }

void Painter::begin(Rect rect) {
  flush();
  const Rect inside = rect.clipped(width_, height_);
  for (int y = inside.y0; y < inside.y1; ++y) {
    std::memset(row(y) + inside.x0, 0, sizeof(std::uint32_t) * static_cast<size_t>(inside.width()));
  }
  touched();
  cairo_reset_clip(cairo_);
  cairo_new_path(cairo_);
  cairo_rectangle(cairo_, inside.x0, inside.y0, inside.width(), inside.height());
  cairo_clip(cairo_);
}

void Painter::set(Color color, double alpha) {
  cairo_set_source_rgba(cairo_, color.r, color.g, color.b, alpha);
}

void Painter::set(const Ramp& ramp) {
  cairo_pattern_t* pattern =
      cairo_pattern_create_linear(ramp.from.x, ramp.from.y, ramp.to.x, ramp.to.y);
  const auto stop = [&](double at, Color color) {
    cairo_pattern_add_color_stop_rgb(pattern, at, color.r, color.g, color.b);
  };
  if (ramp.bands == 0) {
    stop(0, ramp.first);
    stop(1, ramp.second);
  }
  for (int i = 0; i < ramp.bands; ++i) {
    const Color color = i % 2 == 0 ? ramp.first : ramp.second;
    stop(static_cast<double>(i) / ramp.bands, color);
    stop((i + 1.0) / ramp.bands, color);
  }
  cairo_set_source(cairo_, pattern);
  cairo_pattern_destroy(pattern);
}

void Painter::trace(std::span<const Point> points) {
  cairo_new_path(cairo_);
  for (const Point& p : points) cairo_line_to(cairo_, p.x, p.y);
  cairo_close_path(cairo_);
}

void Painter::polygon(std::span<const Point> points, Color color, double alpha) {
  set(color, alpha);
  trace(points);
  cairo_fill(cairo_);
}

void Painter::polygon(std::span<const Point> points, const Ramp& ramp) {
  set(ramp);
  trace(points);
  cairo_fill(cairo_);
}

void Painter::circle(Point center, double radius, Color color, double alpha) {
  set(color, alpha);
  cairo_new_path(cairo_);
  cairo_arc(cairo_, center.x, center.y, std::max(radius, 0.1), 0, 2 * std::numbers::pi);
  cairo_fill(cairo_);
}

void Painter::ellipse(Point center, double rx, double ry, Color color, double alpha, double angle) {
  set(color, alpha);
  cairo_new_path(cairo_);
  cairo_save(cairo_);
  cairo_translate(cairo_, center.x, center.y);
  cairo_rotate(cairo_, angle);
  cairo_scale(cairo_, std::max(rx, 0.1), std::max(ry, 0.1));
  cairo_arc(cairo_, 0, 0, 1, 0, 2 * std::numbers::pi);
  cairo_restore(cairo_);
  cairo_fill(cairo_);
}

void Painter::capsule(Point a, double ra, Point b, double rb, Color color) {
  const Point along = b - a;
  const double length = std::hypot(along.x, along.y);
  if (length <= std::abs(ra - rb) + 1e-6) {
    circle(ra > rb ? a : b, std::max(ra, rb), color);
    return;
  }
  // The outer tangents leave each circle at this angle from the axis.
  const double axis = std::atan2(along.y, along.x);
  const double tangent = std::acos((ra - rb) / length);
  set(color, 1);
  cairo_new_path(cairo_);
  cairo_arc(cairo_, a.x, a.y, ra, axis + tangent, axis - tangent + 2 * std::numbers::pi);
  cairo_arc(cairo_, b.x, b.y, rb, axis - tangent, axis + tangent);
  cairo_close_path(cairo_);
  cairo_fill(cairo_);
}

void Painter::fill_blob(std::initializer_list<Point> points, double radius) {
  trace(std::span<const Point>(points.begin(), points.size()));
  cairo_set_line_width(cairo_, 2 * radius);
  cairo_fill_preserve(cairo_);
  cairo_stroke(cairo_);
}

void Painter::blob(std::initializer_list<Point> points, double radius, Color color) {
  set(color, 1);
  fill_blob(points, radius);
}

void Painter::blob(std::initializer_list<Point> points, double radius, const Ramp& ramp) {
  set(ramp);
  fill_blob(points, radius);
}

void Painter::line(Point a, Point b, double width, Color color, double alpha) {
  set(color, alpha);
  cairo_set_line_width(cairo_, width);
  cairo_new_path(cairo_);
  cairo_move_to(cairo_, a.x, a.y);
  cairo_line_to(cairo_, b.x, b.y);
  cairo_stroke(cairo_);
}

void Painter::ring(Point center, double radius, double width, Color color, double alpha) {
  set(color, alpha);
  cairo_set_line_width(cairo_, width);
  cairo_new_path(cairo_);
  cairo_arc(cairo_, center.x, center.y, std::max(radius, 0.1), 0, 2 * std::numbers::pi);
  cairo_stroke(cairo_);
}

void Painter::arc(Point center, double radius, double from, double to, Color color) {
  set(color, 1);
  cairo_new_path(cairo_);
  cairo_arc(cairo_, center.x, center.y, std::max(radius, 0.1), from, to);
  cairo_close_path(cairo_);
  cairo_fill(cairo_);
}

void Painter::rectangle(double x, double y, double w, double h, Color color, double alpha) {
  set(color, alpha);
  cairo_new_path(cairo_);
  cairo_rectangle(cairo_, x, y, w, h);
  cairo_fill(cairo_);
}

void Painter::rectangle(double x, double y, double w, double h, const Ramp& ramp) {
  set(ramp);
  cairo_new_path(cairo_);
  cairo_rectangle(cairo_, x, y, w, h);
  cairo_fill(cairo_);
}

void Painter::glow(Point center, double rx, double ry, Color color, double inner) {
  cairo_pattern_t* pattern = cairo_pattern_create_radial(0, 0, 0, 0, 0, 1);
  cairo_pattern_add_color_stop_rgba(pattern, 0, color.r, color.g, color.b, inner);
  cairo_pattern_add_color_stop_rgba(pattern, 0.35, color.r, color.g, color.b, inner * 0.4);
  cairo_pattern_add_color_stop_rgba(pattern, 1, color.r, color.g, color.b, 0);
  cairo_save(cairo_);
  cairo_translate(cairo_, center.x, center.y);
  cairo_scale(cairo_, std::max(rx, 0.1), std::max(ry, 0.1));
  cairo_set_source(cairo_, pattern);
  cairo_new_path(cairo_);
  cairo_arc(cairo_, 0, 0, 1, 0, 2 * std::numbers::pi);
  cairo_fill(cairo_);
  cairo_restore(cairo_);
  cairo_pattern_destroy(pattern);
}

}  // namespace peregrine::synth
