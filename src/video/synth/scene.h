// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "video/synth/geometry.h"
#include "video/synth/random.h"
#include "video/synth/synth.h"

namespace peregrine::synth {

/// Where the bands of the street lie, metres from the camera: near pavement, road with two lanes,
/// far pavement, and the houses or trees that close the view.
struct Layout {
  double nearest = 5;    ///< the ground comes into view here
  double near_curb = 8;  ///< the road begins
  double far_curb = 15;
  double facade = 19;
  bool park = false;  ///< trees and hedges instead of houses
  double lane(bool near) const { return near_curb + (far_curb - near_curb) * (near ? 0.28 : 0.74); }
};

struct Lamp {
  Vec3 top;
  double reach = 7;  ///< metres
};

/// What light does to colours at a place: a factor, and haze that grows with distance.
struct Lighting {
  SynthOptions::Time time = SynthOptions::Time::kDay;
  Color ambient{1, 1, 1};
  Color lamp_color{1.0, 0.82, 0.55};
  std::vector<Lamp> lamps;
  double shadow = 0.35;          ///< darkness of shadows on the ground
  Point shadow_direction{1, 0};  ///< metres a metre of height, x and z
  Color haze{0.7, 0.75, 0.8};
  double haze_density = 0.004;  ///< a metre

  bool lit() const { return time != SynthOptions::Time::kDay; }
  Color at(Vec3 place) const;
  double haze_at(double z) const;
};

/// Everything of a world that does not move, but for the camera's shake.
struct Scene {
  Camera camera;
  Layout layout;
  Lighting lighting;
  double shake = 0;  ///< pixels
  double blur = 0;   ///< weight of each neighbour in the blur's three taps, 0 to 1/4
  int noise = 0;     ///< peak of the sensor noise, grey levels

  /// Chooses layout, light and camera of `options`.
  static Scene plan(const SynthOptions& options);
  /// Where the camera of `seconds` has been shaken to.
  Point shake_at(double seconds) const;

 private:
  double phase_[4] = {};
};

/// The painted backdrop, larger than the picture by `margin` on each side so that the camera can
/// shake. Planar, 8 bits.
struct Background {
  int width = 0, height = 0, margin = 0;
  std::vector<std::uint8_t> red, green, blue;
  std::vector<float> depth;              ///< metres
  std::vector<std::uint8_t> prop_alpha;  ///< coverage by lamp posts, trees and other props
  std::vector<float> prop_depth;         ///< of the nearest prop; infinity where there is none
  float nearest_prop = 1e9f;
};

/// Paints the backdrop and adds the scene's lamps to its lighting.
Background paint_background(Scene& scene, const SynthOptions& options);

}  // namespace peregrine::synth
