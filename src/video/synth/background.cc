// SPDX-License-Identifier: Apache-2.0
// The backdrop, painted once a world: sky, houses or park, the ground in perspective, street
// furniture. It is lit pixel by pixel, so it may cost a few hundred nanoseconds each.
#include <limits>
#include <utility>

#include "video/synth/painter.h"
#include "video/synth/scene.h"

namespace peregrine::synth {
namespace {

/// Smooth noise in [-1, 1] on a unit lattice.
double value_noise(double x, double y, std::uint64_t seed) {
  const auto corner = [&](std::int64_t i, std::int64_t j) {
    std::uint64_t h = seed ^ (static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15ull) ^
                      (static_cast<std::uint64_t>(j) * 0xc2b2ae3d27d4eb4full);
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ull;
    return static_cast<double>(h >> 40) * 0x1.0p-23 - 1.0;
  };
  const double fx = std::floor(x), fy = std::floor(y);
  const auto i = static_cast<std::int64_t>(fx), j = static_cast<std::int64_t>(fy);
  double u = x - fx, v = y - fy;
  u = u * u * (3 - 2 * u), v = v * v * (3 - 2 * v);
  const double top = corner(i, j) * (1 - u) + corner(i + 1, j) * u;
  const double bottom = corner(i, j + 1) * (1 - u) + corner(i + 1, j + 1) * u;
  return top * (1 - v) + bottom * v;
}

/// How much of a pixel `width` wide at `v` lies between `low` and `high`.
double band(double v, double low, double high, double width) {
  const double w = std::max(width, 1e-6);
  return std::clamp((v - low) / w + 0.5, 0.0, 1.0) * std::clamp((high - v) / w + 0.5, 0.0, 1.0);
}

Color unpack(std::uint32_t pixel) {
  const auto channel = [&](int shift) { return ((pixel >> shift) & 255) / 255.0; };
  return {channel(16), channel(8), channel(0)};
}
std::uint32_t pack(Color c) {
  const auto channel = [](double v) {
    return static_cast<std::uint32_t>(std::clamp(v, 0.0, 1.0) * 255.0 + 0.5);
  };
  return 0xff000000u | channel(c.r) << 16 | channel(c.g) << 8 | channel(c.b);
}

/// A lit window, or a lamp: drawn after the night has fallen.
struct Light {
  double x, y, w, h;
  Color color;
};

class Backdrop {
  static constexpr double kNoCrossing = 1e9;

 public:
  Backdrop(Scene& scene, const SynthOptions& options)
      : scene_(scene),
        rng_(Rng::of(options.seed, 2)),
        seed_(rng_.next()),
        margin_(static_cast<int>(std::ceil(scene.shake)) + 2),
        width_(options.width + 2 * margin_),
        height_(options.height + 2 * margin_),
        camera_(scene.camera.shifted({static_cast<double>(margin_), static_cast<double>(margin_)})),
        painter_(width_, height_),
        layer_(width_, height_) {
    out_.width = width_, out_.height = height_, out_.margin = margin_;
    const auto pixels = static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
    out_.depth.assign(pixels, std::numeric_limits<float>::infinity());
    out_.prop_alpha.assign(pixels, 0);
    out_.prop_depth.assign(pixels, std::numeric_limits<float>::infinity());
  }

  Background paint() {
    const Rect all{0, 0, width_, height_};
    layer_.begin(all);
    sky(layer_);
    painter_.begin(all);  // what stays transparent is sky
    if (scene_.layout.park) {
      park();
    } else {
      houses();
    }
    place_lamps();
    ground_and_light();
    emit_lights();
    props();
    split();
    return std::move(out_);
  }

 private:
  double facade_row() const { return camera_.project({0, 0, scene_.layout.facade}).y; }
  std::size_t at(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
           static_cast<std::size_t>(x);
  }
  double unit() const { return camera_.scale(scene_.layout.facade); }  // pixels a metre out there
  Point far(double x, double y) const { return camera_.project({x, y, scene_.layout.facade}); }

  void sky(Painter& painter);
  void houses();
  void house(double left, double width);
  void shop(double left, double width, double floor);
  void park();
  void place_lamps();
  void ground_and_light();
  void light_facade_row(int y);
  void paint_ground_row(int y);
  Color ground(double x, double z) const;
  void emit_lights();
  void props();
  template <typename Draw>
  void prop(Vec3 foot, double left, double right, double top, Draw draw);
  void stamp(Rect rect, Vec3 foot);
  void tree(Vec3 foot);
  void furniture(Vec3 foot);
  void split();

  Scene& scene_;
  Rng rng_;
  std::uint64_t seed_;
  int margin_, width_, height_;
  Camera camera_;
  Painter painter_, layer_;
  std::vector<Light> lights_;
  double crossing_ = kNoCrossing;
  Background out_;
};

void Backdrop::sky(Painter& painter) {
  const auto time = scene_.lighting.time;
  const bool night = time == SynthOptions::Time::kNight;
  Color top{0.36, 0.58, 0.85}, low{0.80, 0.88, 0.94};
  if (time == SynthOptions::Time::kDusk) top = {0.30, 0.32, 0.52}, low = {0.96, 0.62, 0.42};
  if (night) top = {0.02, 0.03, 0.08}, low = {0.10, 0.11, 0.19};
  painter.rectangle(0, 0, width_, height_, Ramp{{0, 0}, {0, camera_.horizon + 1}, top, low});
  for (int i = 0; i < 40 && night; ++i) {
    painter.circle({rng_.range(0, width_), rng_.range(0, camera_.horizon)}, rng_.range(0.3, 0.9),
                   {1, 1, 1}, rng_.range(0.2, 0.8));
  }
  for (int i = 0; i < 5 && !night; ++i) {
    const Point middle{rng_.range(0, width_), rng_.range(0, camera_.horizon * 0.8)};
    const double size = width_ * rng_.range(0.05, 0.12);
    for (int puff = 0; puff < 6; ++puff) {
      painter.glow(middle + Point{rng_.range(-1, 1) * size, rng_.range(-0.15, 0.15) * size},
                   size * rng_.range(0.5, 1), size * 0.28, mix(low, {1, 1, 1}, 0.7), 0.5);
    }
  }
}

void Backdrop::houses() {
  const double half = width_ / 2.0 / unit();
  double x = -half - rng_.range(0, 6);
  while (x < half) {
    const double width = rng_.range(4.5, 11);
    house(x, width);
    x += width + (rng_.chance(0.15) ? rng_.range(0.8, 3) : 0.0);
  }
}

void Backdrop::house(double left, double width) {
  const int floors = 2 + rng_.below(4);
  const double storey = rng_.range(2.8, 3.5), ground_floor = storey + 0.5;
  const double height = ground_floor + storey * (floors - 1);
  const Color wall =
      rng_.chance(0.4)
          ? from_hsv(rng_.range(0.02, 0.1), rng_.range(0.3, 0.65), rng_.range(0.4, 0.75))
          : from_hsv(rng_.uniform(), rng_.range(0.03, 0.3), rng_.range(0.5, 0.9));
  const double u = unit();
  const Point top = far(left, height), foot = far(left, 0);
  painter_.rectangle(top.x, top.y, width * u, foot.y - top.y,
                     Ramp{top, foot, shade(wall, 0.05), shade(wall, -0.18)});
  if (rng_.chance(0.4)) {  // brick courses
    for (double y = 0.25; y < height; y += 0.5) {
      const Point p = far(left, y);
      painter_.line(p, p + Point{width * u, 0}, std::max(0.5, 0.04 * u), shade(wall, -0.25), 0.35);
    }
  }
  painter_.rectangle(top.x - 0.1 * u, top.y - 0.3 * u, (width + 0.2) * u, 0.4 * u,
                     shade(wall, -0.4));
  const double window_w = rng_.range(0.8, 1.4), gap = rng_.range(0.7, 1.5);
  const int columns = std::max(1, static_cast<int>((width - gap) / (window_w + gap)));
  const double inset = (width - columns * window_w - (columns - 1) * gap) / 2;
  const Color frame = rng_.chance(0.7) ? Color{0.92, 0.91, 0.88} : shade(wall, -0.5);
  for (int floor = 1; floor < floors; ++floor) {
    for (int column = 0; column < columns; ++column) {
      const Point p =
          far(left + inset + column * (window_w + gap), ground_floor + storey * floor - 0.7);
      const double w = window_w * u, h = storey * 0.55 * u;
      painter_.rectangle(p.x - 0.08 * u, p.y - 0.08 * u, w + 0.16 * u, h + 0.16 * u, frame);
      painter_.rectangle(p.x, p.y, w, h,
                         Ramp{p, p + Point{w, h}, {0.42, 0.52, 0.6}, {0.15, 0.2, 0.26}});
      if (rng_.chance(0.4))
        painter_.rectangle(p.x, p.y, w, h * rng_.range(0.15, 0.6), Color{0.8, 0.76, 0.68}, 0.85);
      painter_.rectangle(p.x + w / 2 - 0.03 * u, p.y, 0.06 * u, h, frame);
      if (rng_.chance(0.4))
        lights_.push_back({p.x, p.y, w, h, shade({1.0, 0.80, 0.45}, rng_.range(-0.35, 0.2))});
    }
  }
  shop(left, width, ground_floor);
}

void Backdrop::shop(double left, double width, double floor) {
  const double u = unit();
  const Color trim = from_hsv(rng_.uniform(), rng_.range(0.3, 0.9), rng_.range(0.25, 0.8));
  const double door = left + rng_.range(0.4, std::max(0.5, width - 1.8));
  const bool is_shop = rng_.chance(0.55);
  if (is_shop) {
    const Point p = far(left + 0.4, floor - 0.9);
    const double w = (width - 0.8) * u, h = (floor - 1.5) * u;
    painter_.rectangle(p.x, p.y, w, h,
                       Ramp{p, p + Point{0, h}, {0.25, 0.3, 0.34}, {0.5, 0.52, 0.52}});
    for (int i = 0; i < 7; ++i) {  // goods behind the glass
      const double x = p.x + rng_.range(0.03, 0.93) * w, size = rng_.range(0.1, 0.35) * h;
      painter_.rectangle(x, p.y + h - size, size * 0.6, size, from_hsv(rng_.uniform(), 0.6, 0.7),
                         0.7);
    }
    if (rng_.chance(0.8)) lights_.push_back({p.x, p.y, w, h, {0.95, 0.86, 0.66}});
    const Point sign = far(left + 0.2, floor - 0.1);
    painter_.rectangle(sign.x, sign.y, (width - 0.4) * u, 0.6 * u, trim);
    for (double x = 0.6; x < width - 1.6; x += 0.42) {  // lettering, unreadable on purpose
      painter_.rectangle(sign.x + x * u, sign.y + 0.18 * u, 0.24 * u, 0.26 * u, {0.95, 0.93, 0.85},
                         0.85);
    }
    if (rng_.chance(0.6)) {  // an awning in stripes
      const Point a = far(left + 0.2, floor - 0.75);
      const double aw = (width - 0.4) * u;
      painter_.polygon(
          {a, a + Point{aw, 0}, a + Point{aw + 0.15 * u, 0.6 * u}, a + Point{-0.15 * u, 0.6 * u}},
          Ramp{a,
               a + Point{aw, 0},
               trim,
               {0.95, 0.93, 0.9},
               std::max(4, static_cast<int>(width * 2))});
    }
  }
  const Point d = far(door, 2.15);
  painter_.rectangle(d.x - 0.08 * u, d.y - 0.08 * u, 1.16 * u, 2.23 * u, Color{0.85, 0.83, 0.78});
  painter_.rectangle(d.x, d.y, 1.0 * u, 2.15 * u, shade(trim, -0.3));
  painter_.circle(d + Point{0.85 * u, 1.1 * u}, 0.05 * u, {0.9, 0.8, 0.4});
}

void Backdrop::park() {
  const double half = width_ / 2.0 / unit(), u = unit();
  const Color green =
      from_hsv(rng_.range(0.22, 0.36), rng_.range(0.35, 0.6), rng_.range(0.3, 0.48));
  for (int i = 0; i < 4; ++i) {  // hills in the distance
    const Point p = far(rng_.range(-half, half), rng_.range(0.5, 2));
    painter_.ellipse(p, rng_.range(6, 14) * u, rng_.range(2, 4.5) * u,
                     mix(green, {0.6, 0.7, 0.75}, 0.45));
  }
  for (double x = -half - 2; x < half + 2; x += rng_.range(1.2, 3.2)) {
    const double height = rng_.range(3, 8), crown = rng_.range(1.1, 2.3);
    const Color leaves =
        shade(from_hsv(rng_.range(0.17, 0.38), rng_.range(0.35, 0.7), rng_.range(0.25, 0.5)), 0);
    const Point foot = far(x, 0), top = far(x, height);
    painter_.line(foot, top, 0.28 * u, {0.3, 0.22, 0.16});
    for (int puff = 0; puff < 9; ++puff) {
      const Point at = top + Point{rng_.range(-0.8, 0.8), rng_.range(-0.7, 0.9)} * (crown * u);
      painter_.circle(at, crown * rng_.range(0.4, 0.75) * u, shade(leaves, rng_.range(-0.3, 0.15)));
    }
  }
  const Point hedge = far(-half - 3, rng_.range(0.7, 1.3));
  painter_.rectangle(0, hedge.y, width_, facade_row() - hedge.y + 1,
                     Ramp{hedge, {hedge.x, facade_row()}, shade(green, 0.05), shade(green, -0.45)});
  for (int i = 0; i < 90; ++i) {
    painter_.circle({rng_.range(0, width_), hedge.y + rng_.range(-0.08, 0.3) * u},
                    rng_.range(0.1, 0.28) * u, shade(green, rng_.range(-0.25, 0.18)));
  }
}

void Backdrop::place_lamps() {
  const Layout& l = scene_.layout;
  const double z = l.far_curb + 0.35;
  const double half = width_ / 2.0 / camera_.scale(z);
  const double step = rng_.range(6.5, 10);
  for (double x = -half - rng_.range(0, step); x < half + 4; x += step) {
    scene_.lighting.lamps.push_back({{x, 4.3, z - 0.7}, rng_.range(6.5, 8.5)});
  }
  // One stands behind the camera: the near pavement is never black.
  scene_.lighting.lamps.push_back({{rng_.range(-3, 3), 4.5, l.near_curb - 1.5}, 9});
}

Color Backdrop::ground(double x, double z) const {
  const Layout& l = scene_.layout;
  const double px = z / camera_.focal;                         // metres a pixel, sideways
  const double pz = z * z / (camera_.focal * camera_.height);  // and in depth
  const double grain = 0.5 * value_noise(x * 9, z * 9, seed_) * std::clamp(0.1 / pz, 0.0, 1.0) +
                       value_noise(x * 0.8, z * 0.8, seed_ + 1);
  const double road = band(z, l.near_curb, l.far_curb, pz);
  Color paved{0.60, 0.58, 0.55};
  const double seam = std::max(1 - band(std::fmod(x + 1000, 0.7), 0.02, 0.68, px),
                               1 - band(std::fmod(z, 0.7), 0.02, 0.68, pz));
  paved = shade(paved, -0.22 * seam * std::clamp(0.12 / pz, 0.0, 1.0));
  if (l.park && z > l.far_curb + 2) {
    const double grass = band(z, l.far_curb + 2, 1e9, pz);
    paved = mix(paved, {0.34, 0.47, 0.22}, grass);
  }
  paved = shade(paved, 0.06 * grain);
  Color asphalt = shade(Color{0.30, 0.30, 0.32}, 0.08 * grain);
  const double middle = (l.near_curb + l.far_curb) / 2;
  const double dash = band(std::fmod(x + 1000, 3.0), 0.0, 1.6, px);
  asphalt =
      mix(asphalt, {0.85, 0.85, 0.82}, 0.85 * dash * band(z, middle - 0.08, middle + 0.08, pz));
  if (crossing_ != kNoCrossing) {
    const double bar =
        band(std::fmod(z, 1.0), 0.0, 0.5, pz) * band(x, crossing_ - 1.6, crossing_ + 1.6, px);
    asphalt = mix(asphalt, {0.85, 0.85, 0.83}, 0.8 * bar);
  }
  Color color = mix(paved, asphalt, road);
  for (double curb : {l.near_curb, l.far_curb}) {
    color = mix(color, {0.72, 0.71, 0.68}, band(z, curb - 0.12, curb + 0.06, pz));
    color = shade(color,
                  -0.3 * band(z, curb + 0.06, curb + 0.16, pz) * (curb == l.near_curb ? 1 : 0.3));
  }
  return color;
}

void Backdrop::ground_and_light() {
  crossing_ = rng_.chance(0.5) ? rng_.range(-5, 5) : kNoCrossing;
  painter_.flush();
  layer_.flush();
  const int first_ground = static_cast<int>(std::ceil(facade_row()));
  for (int y = 0; y < height_; ++y) {
    if (y < first_ground) {
      light_facade_row(y);
    } else {
      paint_ground_row(y);
    }
  }
  painter_.touched();
}

void Backdrop::light_facade_row(int y) {
  const Lighting& light = scene_.lighting;
  const double z = scene_.layout.facade, haze = light.haze_at(z);
  const double up = camera_.height - (y + 0.5 - camera_.horizon) / unit();
  std::uint32_t* row = painter_.row(y);
  const std::uint32_t* sky_row = layer_.row(y);
  for (int x = 0; x < width_; ++x) {
    const double alpha = (row[x] >> 24) / 255.0;
    const double grain = 0.05 * value_noise(x * 0.35, y * 0.35, seed_ + 2) +
                         0.03 * value_noise(x * 0.05, y * 0.05, seed_ + 3);
    const double side = (x + 0.5 - camera_.center) / unit();
    const Color wall = unpack(row[x]) * light.at({side, up, z}) * (1 + grain);
    row[x] = pack(unpack(sky_row[x]) * (1 - alpha) + mix(wall, light.haze * alpha, haze));
    if (alpha >= 0.5) out_.depth[at(x, y)] = static_cast<float>(z);
  }
}

void Backdrop::paint_ground_row(int y) {
  const Lighting& light = scene_.lighting;
  const double z = camera_.focal * camera_.height / (y + 0.5 - camera_.horizon);
  const double haze = light.haze_at(z);
  std::uint32_t* row = painter_.row(y);
  for (int x = 0; x < width_; ++x) {
    const double side = (x + 0.5 - camera_.center) * z / camera_.focal;
    row[x] = pack(mix(ground(side, z) * light.at({side, 0, z}), light.haze, haze));
    out_.depth[at(x, y)] = static_cast<float>(z);
  }
}

void Backdrop::emit_lights() {
  if (!scene_.lighting.lit()) return;
  const double strength = scene_.lighting.time == SynthOptions::Time::kNight ? 0.85 : 0.45;
  for (const Light& l : lights_) {
    painter_.rectangle(l.x, l.y, l.w, l.h, l.color, strength);
    painter_.glow({l.x + l.w / 2, l.y + l.h / 2}, l.w * 1.2, l.h * 1.2, l.color, 0.12 * strength);
  }
}

/// Draws a prop that stands at `foot` on a layer of its own and stamps it on the backdrop.
/// `left`, `right` and `top` bound it, in metres from the foot.
template <typename Draw>
void Backdrop::prop(Vec3 foot, double left, double right, double top, Draw draw) {
  Extent extent;
  extent.add(camera_.project(foot + Vec3{-left, 0, 0}), 3);
  extent.add(camera_.project(foot + Vec3{right, top, 0}), 3);
  const Rect rect = extent.pixels().clipped(width_, height_);
  if (rect.empty()) return;
  layer_.begin(rect);
  draw(layer_, camera_.scale(foot.z));
  layer_.flush();
  stamp(rect, foot);
}

void Backdrop::stamp(Rect rect, Vec3 foot) {
  const Lighting& light = scene_.lighting;
  const double haze = light.haze_at(foot.z);
  painter_.flush();
  for (int y = rect.y0; y < rect.y1; ++y) {
    std::uint32_t* row = painter_.row(y);
    const std::uint32_t* source = std::as_const(layer_).row(y);
    const double up = camera_.height - (y + 0.5 - camera_.horizon) * foot.z / camera_.focal;
    for (int x = rect.x0; x < rect.x1; ++x) {
      const std::uint32_t alpha = source[x] >> 24;
      if (alpha == 0) continue;
      const double a = alpha / 255.0;
      const double grain = 1 + 0.08 * value_noise(x * 0.5, y * 0.5, seed_ + 4);
      const Color lit = unpack(source[x]) * light.at({foot.x, up, foot.z}) * grain;
      row[x] = pack(unpack(row[x]) * (1 - a) + mix(lit, light.haze * a, haze));
      const std::size_t i = at(x, y);
      out_.prop_alpha[i] =
          static_cast<std::uint8_t>(std::max<std::uint32_t>(out_.prop_alpha[i], alpha));
      out_.prop_depth[i] = static_cast<float>(foot.z);
      if (alpha >= 128) out_.depth[i] = static_cast<float>(foot.z);
      out_.nearest_prop = std::min(out_.nearest_prop, static_cast<float>(foot.z));
    }
  }
  painter_.touched();
}

void Backdrop::tree(Vec3 foot) {
  const double crown = rng_.range(1.0, 1.7), height = rng_.range(3.6, 4.8);
  const Color leaves =
      from_hsv(rng_.range(0.18, 0.36), rng_.range(0.4, 0.7), rng_.range(0.3, 0.55));
  prop(foot, crown * 1.7, crown * 1.7, height + crown * 1.7, [&](Painter& p, double s) {
    const Point base = camera_.project(foot), top = camera_.project(foot + Vec3{0, height, 0});
    p.capsule(base, 0.17 * s, top, 0.1 * s, {0.33, 0.25, 0.18});
    p.line(mix(base, top, 0.1) - Point{0.05 * s, 0}, mix(base, top, 0.7) - Point{0.03 * s, 0},
           0.04 * s, {0.45, 0.36, 0.27});
    for (int i = 0; i < 26; ++i) {
      const double lift = rng_.range(-0.75, 0.95);
      const Point at =
          top + Point{rng_.range(-1, 1) * std::sqrt(1 - lift * lift * 0.9), -lift} * (crown * s);
      p.circle(at, crown * rng_.range(0.28, 0.5) * s,
               shade(leaves, 0.16 * lift + rng_.range(-0.22, 0.08)));
    }
  });
}

void Backdrop::furniture(Vec3 foot) {
  const int kind = rng_.below(4);
  const Color tone = from_hsv(rng_.uniform(), rng_.range(0.1, 0.5), rng_.range(0.2, 0.5));
  const auto at = [&](double x, double y) { return camera_.project(foot + Vec3{x, y, 0}); };
  if (kind == 0) {  // bollard
    prop(foot, 0.2, 0.2, 1.1, [&](Painter& p, double s) {
      p.capsule(at(0, 0.05), 0.09 * s, at(0, 0.85), 0.09 * s, tone);
      p.line(at(-0.06, 0.7), at(0.06, 0.7), 0.1 * s, {0.9, 0.9, 0.88});
    });
  } else if (kind == 1) {  // bench
    prop(foot, 1.0, 1.0, 1.1, [&](Painter& p, double s) {
      for (double x : {-0.7, 0.7}) p.line(at(x, 0), at(x, 0.85), 0.08 * s, {0.2, 0.2, 0.22});
      for (double y : {0.45, 0.62, 0.8})
        p.line(at(-0.85, y), at(0.85, y), 0.1 * s, shade({0.5, 0.33, 0.2}, y - 0.6));
    });
  } else if (kind == 2) {  // planter
    prop(foot, 0.8, 0.8, 1.4, [&](Painter& p, double s) {
      p.polygon({at(-0.6, 0.55), at(0.6, 0.55), at(0.5, 0), at(-0.5, 0)}, shade(tone, 0.2));
      for (int i = 0; i < 10; ++i) {
        p.circle(at(rng_.range(-0.5, 0.5), rng_.range(0.6, 1.0)), rng_.range(0.12, 0.24) * s,
                 from_hsv(rng_.chance(0.75) ? 0.3 : rng_.uniform(), 0.6, rng_.range(0.3, 0.7)));
      }
    });
  } else {  // litter bin
    prop(foot, 0.4, 0.4, 1.1, [&](Painter& p, double s) {
      p.polygon({at(-0.26, 0.85), at(0.26, 0.85), at(0.2, 0), at(-0.2, 0)},
                Ramp{at(-0.26, 0), at(0.26, 0), shade(tone, 0.15), shade(tone, -0.4)});
      p.line(at(-0.27, 0.88), at(0.27, 0.88), 0.08 * s, shade(tone, -0.3));
    });
  }
}

void Backdrop::props() {
  const Layout& l = scene_.layout;
  const double far_half = width_ / 2.0 / camera_.scale(l.far_curb);
  if (rng_.chance(0.6)) {
    for (double x = -far_half + rng_.range(0, 5); x < far_half; x += rng_.range(5, 12)) {
      tree({x, 0, l.far_curb + 0.9});
    }
  }
  for (std::size_t i = 0; i + 1 < scene_.lighting.lamps.size(); ++i) {
    const Vec3 top = scene_.lighting.lamps[i].top;
    const Vec3 foot{top.x, 0, top.z + 0.7};
    prop(foot, 0.4, 0.4, 4.8, [&](Painter& p, double s) {
      const Point lamp = camera_.project(top);
      p.capsule(camera_.project(foot), 0.09 * s, camera_.project(foot + Vec3{0, 4.3, 0}), 0.05 * s,
                {0.22, 0.24, 0.26});
      p.ellipse(lamp, 0.28 * s, 0.12 * s, {0.3, 0.31, 0.33});
    });
    if (!scene_.lighting.lit()) continue;
    const double s = camera_.scale(top.z);
    painter_.ellipse(camera_.project(top) + Point{0, 0.05 * s}, 0.2 * s, 0.08 * s, {1, 0.95, 0.8});
    painter_.glow(camera_.project(top), 1.6 * s, 1.6 * s, scene_.lighting.lamp_color, 0.55);
  }
  // The nearest last, for the depth of a pixel is that of the last prop on it.
  for (double z : {l.far_curb + 0.3, l.near_curb - 0.25}) {
    const double half = width_ / 2.0 / camera_.scale(z);
    for (int pieces = rng_.below(4); pieces > 0; --pieces)
      furniture({rng_.range(-half, half), 0, z});
  }
}

void Backdrop::split() {
  painter_.flush();
  const auto pixels = static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
  for (auto* plane : {&out_.red, &out_.green, &out_.blue}) plane->resize(pixels);
  for (int y = 0; y < height_; ++y) {
    const std::uint32_t* row = painter_.row(y);
    for (int x = 0; x < width_; ++x) {
      const std::size_t i = at(x, y);
      out_.red[i] = static_cast<std::uint8_t>(row[x] >> 16);
      out_.green[i] = static_cast<std::uint8_t>(row[x] >> 8);
      out_.blue[i] = static_cast<std::uint8_t>(row[x]);
    }
  }
}

}  // namespace

Background paint_background(Scene& scene, const SynthOptions& options) {
  return Backdrop(scene, options).paint();
}

}  // namespace peregrine::synth
