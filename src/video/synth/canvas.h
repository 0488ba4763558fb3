// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "video/synth/painter.h"
#include "video/synth/scene.h"

namespace peregrine::synth {

/// The picture in the making: planar 8-bit RGB, so that the loops over whole planes vectorize, and
/// for each pixel who is seen there.
class Canvas {
 public:
  static constexpr std::uint16_t kNobody = 0;

  Canvas(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }

  /// Starts a picture: the backdrop as seen by a camera shaken by `shake` pixels (at most the
  /// backdrop's margin less one), with nobody in it.
  void begin(const Background& background, Point shake);

  struct Stamp {
    std::uint16_t id;
    double depth;  ///< metres: props in front of it hide it
    Color light;
    Color haze;
    double haze_amount;
  };
  /// Lays what `layer` shows within `rect` on the picture. A pixel belongs to whoever covers at
  /// least half of it. Returns how many pixels the layer covers so far, seen or not.
  std::int64_t stamp(const Painter& layer, Rect rect, const Stamp& stamp);

  /// Darkens a soft ellipse, at most by `strength`; who is seen does not change.
  void darken(Point center, double rx, double ry, double slant, double strength);
  /// Adds a soft ellipse of light, but not on those stamped with a higher id: they stand in front.
  void lighten(Point center, double rx, double ry, Color light, std::uint16_t front);

  /// The lens and the sensor: a blur of three taps that weigh `blur` beside the centre, and noise
  /// of `peak` grey levels that depends on `salt` only.
  void develop(double blur, int peak, std::uint64_t salt);

  const std::uint16_t* owners(int y) const { return &owners_[row(y)]; }
  /// Depth of the backdrop under the current shake, metres.
  float backdrop_depth(int x, int y) const;

  void to_rgb24(std::uint8_t* out) const;
  /// BT.709, limited range; chroma is the mean of each 2 x 2 block; odd sides round up.
  void to_yuv420p(std::uint8_t* y, std::uint8_t* u, std::uint8_t* v) const;

 private:
  using Row = std::vector<std::uint8_t>;
  std::size_t row(int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width_);
  }
  void shift_plane(const Row& from, int from_width, Row& to) const;
  void blur_plane(Row& plane, int weight);
  void make_noise();

  int width_, height_;
  Row planes_[3];  // red, green, blue
  std::vector<std::uint16_t> owners_;
  const Background* background_ = nullptr;
  int whole_x_ = 0, whole_y_ = 0;  // top left of the picture in the backdrop
  int part_x_ = 0, part_y_ = 0;    // and the rest, in 1/16 pixels
  std::vector<std::int8_t> noise_;
  Row scratch_[3];
};

}  // namespace peregrine::synth
