// SPDX-License-Identifier: Apache-2.0
#include "video/synth/scene.h"

#include <numbers>

namespace peregrine::synth {
namespace {

SynthOptions::Time choose_time(Rng& rng, SynthOptions::Time wanted) {
  const double draw =
      rng.uniform();  // drawn in any case: the rest of the world must not depend on it
  if (wanted != SynthOptions::Time::kAny) return wanted;
  return draw < 0.55   ? SynthOptions::Time::kDay
         : draw < 0.75 ? SynthOptions::Time::kDusk
                       : SynthOptions::Time::kNight;
}

Lighting plan_lighting(Rng& rng, SynthOptions::Time wanted) {
  Lighting light;
  light.time = choose_time(rng, wanted);
  const double side = rng.sign() * rng.range(0.35, 0.9), depth = rng.range(-0.35, 0.25);
  const double brightness = rng.range(0.88, 1.04), density = rng.range(0.002, 0.009);
  switch (light.time) {
    case SynthOptions::Time::kDusk:
      light.ambient = Color{0.82, 0.66, 0.58} * brightness;
      light.haze = {0.72, 0.56, 0.50};
      light.shadow = 0.28;
      break;
    case SynthOptions::Time::kNight:
      light.ambient = Color{0.30, 0.34, 0.46} * brightness;
      light.haze = {0.10, 0.12, 0.19};
      light.shadow = 0.22;
      break;
    default:
      light.ambient = Color{1.0, 0.985, 0.95} * brightness;
      light.shadow = 0.4;
      break;
  }
  light.shadow_direction = {side, depth};
  light.haze_density = density;
  return light;
}

Layout plan_layout(Rng& rng, double nearest) {
  Layout l;
  l.nearest = nearest;
  l.near_curb = nearest * rng.range(1.25, 1.6);
  l.far_curb = l.near_curb + rng.range(6.2, 8.0);
  l.facade = l.far_curb + rng.range(2.8, 6.5);
  l.park = rng.chance(0.35);
  return l;
}

}  // namespace

Color Lighting::at(Vec3 place) const {
  Color light = ambient;
  if (!lit()) return light;
  const double strength = time == SynthOptions::Time::kNight ? 0.95 : 0.35;
  for (const Lamp& lamp : lamps) {
    const Vec3 d = place - lamp.top;
    const double squared = (d.x * d.x + d.y * d.y * 0.3 + d.z * d.z) / (lamp.reach * lamp.reach);
    if (squared < 1) light = light + lamp_color * (strength * (1 - squared) * (1 - squared));
  }
  return light;
}

double Lighting::haze_at(double z) const { return 1 - std::exp(-haze_density * z); }

Scene Scene::plan(const SynthOptions& options) {
  Rng rng = Rng::of(options.seed, 1);
  Scene scene;
  // A 60 degree view of a 16:9 picture; other shapes keep the same diagonal feel.
  const double size = 0.5 * (options.width + options.height * 16.0 / 9.0);
  scene.camera.focal = size * rng.range(0.74, 1.05);
  scene.camera.center = options.width / 2.0;
  scene.camera.height = rng.range(1.7, 4.2);
  scene.camera.horizon = options.height * rng.range(0.22, 0.42);
  const double nearest =
      scene.camera.focal * scene.camera.height / (options.height - scene.camera.horizon);
  scene.layout = plan_layout(rng, nearest);
  scene.lighting = plan_lighting(rng, options.time);
  const double unit = options.height / 360.0;
  scene.shake = rng.chance(0.6) ? unit * rng.range(0.3, 2.2) : 0;
  scene.blur = rng.chance(0.5) ? rng.range(0.02, 0.2) : 0;
  scene.noise = static_cast<int>(
      scene.lighting.time == SynthOptions::Time::kNight ? rng.range(3, 10) : rng.range(0, 6));
  for (double& phase : scene.phase_) phase = rng.range(0, 2 * std::numbers::pi);
  return scene;
}

Point Scene::shake_at(double seconds) const {
  // A hand: a slow drift and a faster tremor, never in step.
  return {shake * (0.7 * std::sin(1.9 * seconds + phase_[0]) +
                   0.3 * std::sin(9.1 * seconds + phase_[1])),
          shake * (0.6 * std::sin(2.3 * seconds + phase_[2]) +
                   0.4 * std::sin(11.3 * seconds + phase_[3]))};
}

}  // namespace peregrine::synth
