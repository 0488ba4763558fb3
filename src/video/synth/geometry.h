// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

namespace peregrine::synth {

/// A place in the street, metres: x to the right, y up from the ground, z away from the camera.
struct Vec3 {
  double x = 0, y = 0, z = 0;
  friend Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
  friend Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
  friend Vec3 operator*(Vec3 a, double s) { return {a.x * s, a.y * s, a.z * s}; }
};

/// A place in the picture, pixels; pixel centres lie at half-integers.
struct Point {
  double x = 0, y = 0;
  friend Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
  friend Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
  friend Point operator*(Point a, double s) { return {a.x * s, a.y * s}; }
};

inline Point mix(Point a, Point b, double t) { return a + (b - a) * t; }
inline Vec3 mix(Vec3 a, Vec3 b, double t) { return a + (b - a) * t; }

/// Linear RGB factors or sRGB values in [0, 1], as the user says.
struct Color {
  double r = 0, g = 0, b = 0;
  friend Color operator*(Color a, double s) { return {a.r * s, a.g * s, a.b * s}; }
  friend Color operator*(Color a, Color b) { return {a.r * b.r, a.g * b.g, a.b * b.b}; }
  friend Color operator+(Color a, Color b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }
};

inline Color mix(Color a, Color b, double t) { return a * (1 - t) + b * t; }
/// `amount` in [-1, 1]: towards black or white.
inline Color shade(Color color, double amount) {
  return amount < 0 ? color * (1 + amount) : mix(color, {1, 1, 1}, amount);
}
Color from_hsv(double hue, double saturation, double value);

/// A half-open rectangle of whole pixels.
struct Rect {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool empty() const { return x1 <= x0 || y1 <= y0; }
  int width() const { return x1 - x0; }
  int height() const { return y1 - y0; }
  Rect clipped(int width, int height) const {
    return {std::max(x0, 0), std::max(y0, 0), std::min(x1, width), std::min(y1, height)};
  }
};

/// Bounds of what is drawn, in pixels and not clipped to the picture.
struct Extent {
  double x0 = 1e9, y0 = 1e9, x1 = -1e9, y1 = -1e9;
  void add(Point p, double radius = 0) {
    x0 = std::min(x0, p.x - radius), x1 = std::max(x1, p.x + radius);
    y0 = std::min(y0, p.y - radius), y1 = std::max(y1, p.y + radius);
  }
  double area() const { return std::max(0.0, x1 - x0) * std::max(0.0, y1 - y0); }
  /// The whole pixels that an antialiased drawing within the extent can touch.
  Rect pixels() const {
    // Far-away places project to huge values; a picture has at most 2^14 pixels a side.
    const auto whole = [](double v) { return static_cast<int>(std::clamp(v, -3e4, 3e4)); };
    return {whole(std::floor(x0)) - 1, whole(std::floor(y0)) - 1, whole(std::ceil(x1)) + 1,
            whole(std::ceil(y1)) + 1};
  }
};

/// A pinhole that looks along z, level; looking up or down is a shift of the horizon, so upright
/// things stay upright in the picture.
struct Camera {
  double focal = 1;    ///< pixels
  double center = 0;   ///< column of x = 0
  double horizon = 0;  ///< row of y = height
  double height = 3;   ///< metres above the ground

  double scale(double z) const { return focal / z; }
  Point project(Vec3 p) const {
    const double s = focal / p.z;
    return {center + p.x * s, horizon + (height - p.y) * s};
  }
  Camera shifted(Point by) const { return {focal, center + by.x, horizon + by.y, height}; }
};

}  // namespace peregrine::synth
