// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "video/synth/geometry.h"

typedef struct _cairo cairo_t;
typedef struct _cairo_surface cairo_surface_t;

namespace peregrine::synth {

/// A fill that runs along the line from `from` to `to`: a smooth gradient of two colours, or
/// `bands` sharp stripes of them.
struct Ramp {
  Point from, to;
  Color first, second;
  int bands = 0;
};

/// A premultiplied 32-bit ARGB picture and the few shapes everything in the world is made of.
/// Owns its pixels. Throws `Error(kOutOfMemory)` when they cannot be had.
class Painter {
 public:
  Painter(int width, int height);
  ~Painter();
  Painter(const Painter&) = delete;
  Painter& operator=(const Painter&) = delete;

  int width() const { return width_; }
  int height() const { return height_; }
  /// Clears `rect` to transparent and confines drawing to it.
  void begin(Rect rect);
  /// Row `y`; valid for reading until the next drawing call.
  const std::uint32_t* row(int y) const;
  std::uint32_t* row(int y);
  /// Must stand between drawing with shapes and touching rows, and between touching and drawing.
  void flush();
  void touched();

  void polygon(std::span<const Point> points, Color color, double alpha = 1);
  void polygon(std::initializer_list<Point> points, Color color, double alpha = 1) {
    polygon(std::span<const Point>(points.begin(), points.size()), color, alpha);
  }
  void polygon(std::span<const Point> points, const Ramp& ramp);
  void polygon(std::initializer_list<Point> points, const Ramp& ramp) {
    polygon(std::span<const Point>(points.begin(), points.size()), ramp);
  }
  void circle(Point center, double radius, Color color, double alpha = 1);
  void ellipse(Point center, double rx, double ry, Color color, double alpha = 1, double angle = 0);
  /// The convex hull of two circles.
  void capsule(Point a, double ra, Point b, double rb, Color color);
  /// `points` grown by `radius`, with round corners.
  void blob(std::initializer_list<Point> points, double radius, Color color);
  void blob(std::initializer_list<Point> points, double radius, const Ramp& ramp);
  void line(Point a, Point b, double width, Color color, double alpha = 1);
  void ring(Point center, double radius, double width, Color color, double alpha = 1);
  void arc(Point center, double radius, double from, double to, Color color);
  void rectangle(double x, double y, double w, double h, Color color, double alpha = 1);
  void rectangle(double x, double y, double w, double h, const Ramp& ramp);
  /// A disc that fades from `inner` alpha in its centre to nothing at its rim.
  void glow(Point center, double rx, double ry, Color color, double inner);

 private:
  void set(Color color, double alpha);
  void set(const Ramp& ramp);
  void trace(std::span<const Point> points);
  void fill_blob(std::initializer_list<Point> points, double radius);

  int width_, height_;
  cairo_surface_t* surface_ = nullptr;
  cairo_t* cairo_ = nullptr;
  std::uint8_t* data_ = nullptr;
  int stride_ = 0;
};

}  // namespace peregrine::synth
