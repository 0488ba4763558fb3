// SPDX-License-Identifier: Apache-2.0
// Cars, extruded from a side view so that the roof, the bonnet and the end turned to the camera
// show, and bicycles.
#include <algorithm>
#include <numbers>

#include "video/synth/actors.h"

namespace peregrine::synth {
namespace {

constexpr double kTau = 2 * std::numbers::pi;

/// The upper outline of a car from the tail to the nose, metres ahead of its middle and above the
/// ground, and which stretches of it are glass.
struct CarShape {
  std::array<Point, 8> outline;  // tail low, tail high, boot, roof back, roof front, bonnet, nose
  double wheel_base, wheel_radius, width;
};

const CarShape kCarShapes[] = {
    // saloon, hatchback, off-roader, van
    {{{{-2.25, .35},
       {-2.25, .88},
       {-1.55, .98},
       {-.95, 1.42},
       {.35, 1.45},
       {1.15, .98},
       {2.1, .82},
       {2.3, .42}}},
     1.35,
     .33,
     1.75},
    {{{{-1.9, .35},
       {-1.95, .9},
       {-1.85, 1.0},
       {-1.45, 1.48},
       {.3, 1.5},
       {1.05, 1.0},
       {1.85, .85},
       {2.0, .4}}},
     1.2,
     .32,
     1.7},
    {{{{-2.2, .45},
       {-2.25, 1.0},
       {-2.15, 1.1},
       {-1.95, 1.72},
       {.3, 1.75},
       {1.0, 1.12},
       {2.1, 1.0},
       {2.25, .5}}},
     1.35,
     .38,
     1.85},
    {{{{-2.45, .4},
       {-2.5, 1.1},
       {-2.48, 1.3},
       {-2.4, 1.95},
       {1.0, 1.98},
       {1.75, 1.2},
       {2.35, 1.0},
       {2.45, .45}}},
     1.5,
     .34,
     1.9},
};

class Car final : public Actor {
 public:
  Car(Rng rng, Path path, bool lights_on)
      : Actor(SynthClass::kCar, std::move(path)), lights_on_(lights_on) {
    shape_ = kCarShapes[rng.below(4)];
    const double stretch = rng.range(0.93, 1.06);
    for (Point& p : shape_.outline) p.x *= stretch;
    shape_.wheel_base *= stretch;
    paint_ = rng.chance(0.4) ? Color{1, 1, 1} * rng.range(0.08, 0.92)
                             : from_hsv(rng.uniform(), rng.range(0.4, 0.95), rng.range(0.3, 0.9));
    rim_ = Color{1, 1, 1} * rng.range(0.35, 0.8);
    two_tone_ = rng.chance(0.2);
  }

  Vec3 shadow_size() const override { return {4.6, 1.3, shape_.width}; }
  bool headlights(double seconds, Vec3 (&lights)[2]) const override {
    if (!lights_on_ || path().speed() == 0) return false;
    const View v = view(seconds);
    lights[0] = v.at(shape_.outline[7].x, 0.68, 0.1);
    lights[1] = v.at(shape_.outline[7].x, 0.68, 0.9);
    return true;
  }
  Extent extent(const Camera& camera, double seconds) const override {
    const View v = view(seconds);
    Extent extent;
    for (const Point& p : shape_.outline) {
      for (double across : {0.0, 1.0}) extent.add(camera.project(v.at(p.x, p.y, across)), 1);
    }
    for (double end : {-1.0, 1.0}) {
      extent.add(camera.project(v.at(end * shape_.wheel_base, 0, 0)), 2);
    }
    return extent;
  }
  void draw(Painter& painter, const Camera& camera, double seconds) const override;

 private:
  /// A car drives along x only; `across` runs from the near side (0) to the far one (1).
  struct View {
    Stance stance;
    double direction, width;
    Vec3 at(double ahead, double up, double across) const {
      return {stance.x + direction * ahead, up, stance.z + (across - 0.5) * width};
    }
  };
  View view(double seconds) const {
    const Stance stance = path().at(seconds);
    return {stance, std::cos(stance.heading) >= 0 ? 1.0 : -1.0, shape_.width};
  }
  void draw_hull(Painter& painter, const Camera& camera, const View& v) const;
  void draw_end(Painter& painter, const Camera& camera, const View& v) const;
  void draw_side(Painter& painter, const Camera& camera, const View& v) const;
  void draw_windows(Painter& painter, const Camera& camera, const View& v) const;
  void draw_wheels(Painter& painter, const Camera& camera, const View& v) const;

  CarShape shape_;
  Color paint_, rim_;
  bool two_tone_, lights_on_;
};

const Color kGlass{0.20, 0.27, 0.33};

void Car::draw_hull(Painter& painter, const Camera& camera, const View& v) const {
  for (std::size_t i = 1; i + 2 < shape_.outline.size(); ++i) {
    const Point a = shape_.outline[i], b = shape_.outline[i + 1];
    const bool glass = i == 2 || i == 4;
    const bool roof = i == 3;
    const Color color = glass ? shade(kGlass, 0.15)
                              : shade(roof && two_tone_ ? Color{0.1, 0.1, 0.1} : paint_, 0.22);
    painter.polygon({camera.project(v.at(a.x, a.y, 0)), camera.project(v.at(b.x, b.y, 0)),
                     camera.project(v.at(b.x, b.y, 1)), camera.project(v.at(a.x, a.y, 1))},
                    color);
  }
}

void Car::draw_end(Painter& painter, const Camera& camera, const View& v) const {
  // Only the end that is turned to the camera's axis can be seen.
  for (bool nose : {false, true}) {
    const Point low = shape_.outline[nose ? 7 : 0], high = shape_.outline[nose ? 6 : 1];
    const double outward = (nose ? 1 : -1) * v.direction;
    if (outward * v.at(low.x, 0, 0).x > 0) continue;
    const auto p = [&](Point q, double across) { return camera.project(v.at(q.x, q.y, across)); };
    painter.polygon({p(low, 0), p(high, 0), p(high, 1), p(low, 1)}, shade(paint_, -0.25));
    const Point plate_low = mix(low, high, 0.25), plate_high = mix(low, high, 0.5);
    painter.polygon(
        {p(plate_low, 0.36), p(plate_high, 0.36), p(plate_high, 0.64), p(plate_low, 0.64)},
        Color{0.9, 0.9, 0.85});
    const Point light_low = mix(low, high, 0.55), light_high = mix(low, high, 0.9);
    const Color light = nose ? Color{1, 0.97, 0.85} : Color{0.85, 0.08, 0.06};
    for (double across : {0.06, 0.74}) {
      painter.polygon({p(light_low, across), p(light_high, across), p(light_high, across + 0.2),
                       p(light_low, across + 0.2)},
                      lights_on_ ? light : shade(light, -0.35));
    }
  }
}

void Car::draw_windows(Painter& painter, const Camera& camera, const View& v) const {
  const auto& o = shape_.outline;
  const auto p = [&](double x, double y) { return camera.project(v.at(x, y, 0)); };
  const double sill = std::max(o[2].y, o[5].y) + 0.02, top = std::min(o[3].y, o[4].y) - 0.1;
  // The glass follows the pillars: interpolate their x at the sill and at the top.
  const auto pillar = [](Point low, Point high, double y) {
    return low.x + (high.x - low.x) * (y - low.y) / (high.y - low.y);
  };
  const double back_low = pillar(o[2], o[3], sill) + 0.12,
               back_high = pillar(o[2], o[3], top) + 0.1;
  const double front_low = pillar(o[5], o[4], sill) - 0.12,
               front_high = pillar(o[5], o[4], top) - 0.1;
  const double middle = (back_low + front_low) / 2 + 0.1;
  const Point light = p(middle, top), dark = p(middle, sill);
  const Ramp glass{light, dark, shade(kGlass, 0.3), shade(kGlass, -0.2)};
  painter.polygon(
      {p(back_low, sill), p(back_high, top), p(middle - 0.05, top), p(middle - 0.05, sill)}, glass);
  painter.polygon(
      {p(middle + 0.05, sill), p(middle + 0.05, top), p(front_high, top), p(front_low, sill)},
      glass);
  const double width = std::max(0.6, 0.018 * camera.scale(v.stance.z));
  painter.line(p(middle, sill), p(middle - 0.02, 0.4), width, shade(paint_, -0.35));
  painter.line(p(middle - 0.42, sill - 0.1), p(middle - 0.24, sill - 0.1), width * 2,
               shade(paint_, -0.3));
}

void Car::draw_side(Painter& painter, const Camera& camera, const View& v) const {
  std::array<Point, 8> side;
  for (std::size_t i = 0; i < side.size(); ++i) {
    side[i] = camera.project(v.at(shape_.outline[i].x, shape_.outline[i].y, 0));
  }
  const Point top = camera.project(v.at(0, shape_.outline[3].y, 0));
  const Point bottom = camera.project(v.at(0, 0.3, 0));
  painter.polygon(side, Ramp{top, bottom, shade(paint_, 0.1), shade(paint_, -0.38)});
  const auto p = [&](double x, double y) { return camera.project(v.at(x, y, 0)); };
  const double skirt = shape_.outline[0].y;
  painter.polygon(
      {p(shape_.outline[0].x + 0.1, skirt), p(shape_.outline[7].x - 0.1, skirt),
       p(shape_.outline[7].x - 0.3, skirt - 0.12), p(shape_.outline[0].x + 0.3, skirt - 0.12)},
      Color{0.07, 0.07, 0.08});
  const Color nose = lights_on_ ? Color{1, 0.97, 0.8} : Color{0.8, 0.8, 0.78};
  const double s = camera.scale(v.at(0, 0, 0).z);
  painter.ellipse(p(shape_.outline[6].x - 0.05, shape_.outline[6].y - 0.16), 0.17 * s, 0.08 * s,
                  nose);
  painter.ellipse(p(shape_.outline[1].x + 0.08, shape_.outline[1].y - 0.1), 0.09 * s, 0.11 * s,
                  {0.75, 0.07, 0.06});
}

void Car::draw_wheels(Painter& painter, const Camera& camera, const View& v) const {
  const double s = camera.scale(v.at(0, 0, 0).z);
  const double r = shape_.wheel_radius;
  const double turn = -v.direction * v.stance.travelled / r;
  for (double end : {-1.0, 1.0}) {
    const Point hub = camera.project(v.at(end * shape_.wheel_base, r, 0));
    painter.circle(hub, r * 1.15 * s, {0.05, 0.05, 0.055});
    painter.circle(hub, r * 0.98 * s, {0.12, 0.12, 0.13});
    painter.circle(hub, r * 0.6 * s, rim_);
    if (r * s < 5) continue;
    for (int spoke = 0; spoke < 5; ++spoke) {
      const double angle = turn + spoke * kTau / 5;
      painter.line(hub, hub + Point{std::cos(angle), std::sin(angle)} * (r * 0.52 * s),
                   r * 0.16 * s, shade(rim_, -0.5));
    }
  }
}

void Car::draw(Painter& painter, const Camera& camera, double seconds) const {
  const View v = view(seconds);
  draw_hull(painter, camera, v);
  draw_end(painter, camera, v);
  draw_side(painter, camera, v);
  draw_windows(painter, camera, v);
  draw_wheels(painter, camera, v);
}

class Bicycle final : public Actor {
 public:
  Bicycle(Rng rng, Path path) : Actor(SynthClass::kBicycle, std::move(path)) {
    paint_ = from_hsv(rng.uniform(), rng.range(0.5, 1.0), rng.range(0.35, 0.95));
    saddle_ = Color{1, 1, 1} * rng.range(0.05, 0.4);
    tyre_ = Color{1, 1, 1} * rng.range(0.05, 0.25);
    basket_ = rng.chance(0.3);
  }
  Vec3 shadow_size() const override { return {1.6, 1.0, 0.3}; }
  Extent extent(const Camera& camera, double seconds) const override {
    Extent extent;
    const double s = camera.scale(path().at(seconds).z);
    for (double end : {-1.0, 1.0}) {
      extent.add(at(camera, seconds, {end * Shape::kHalfBase, Shape::kWheelRadius}),
                 (Shape::kWheelRadius + 0.05) * s);
    }
    extent.add(at(camera, seconds, Shape::kHandle), (basket_ ? 0.4 : 0.12) * s);
    extent.add(at(camera, seconds, Shape::kSaddle), 0.12 * s);
    return extent;
  }
  void draw(Painter& painter, const Camera& camera, double seconds) const override;

 private:
  using Shape = BicycleShape;
  Point at(const Camera& camera, double seconds, Point p) const {
    const Stance stance = path().at(seconds);
    const double direction = std::cos(stance.heading) >= 0 ? 1 : -1;
    return camera.project({stance.x + direction * p.x, p.y, stance.z});
  }
  Color paint_, saddle_, tyre_;
  bool basket_;
};

void Bicycle::draw(Painter& painter, const Camera& camera, double seconds) const {
  const Stance stance = path().at(seconds);
  const double s = camera.scale(stance.z);
  const double tube = std::max(1.0, 0.045 * s);
  const auto p = [&](double x, double y) { return at(camera, seconds, {x, y}); };
  for (double end : {-1.0, 1.0}) {
    const Point hub = p(end * Shape::kHalfBase, Shape::kWheelRadius);
    // Spokes in motion blur into a veil. It is just over half opaque: the disc counts as bicycle,
    // as people who mark masks draw it, and the street shows through.
    painter.circle(hub, Shape::kWheelRadius * s, {0.34, 0.35, 0.37}, 0.53);
    painter.ring(hub, Shape::kWheelRadius * s, std::max(1.2, 0.055 * s), tyre_);
    const double turn = -stance.travelled / Shape::kWheelRadius;
    for (int spoke = 0; spoke < 4 && s > 25; ++spoke) {
      const double angle = turn + spoke * std::numbers::pi / 4;
      const Point rim = Point{std::cos(angle), std::sin(angle)} * (Shape::kWheelRadius * s);
      painter.line(hub - rim, hub + rim, 0.6, {0.75, 0.76, 0.78}, 0.7);
    }
    painter.circle(hub, 0.04 * s, {0.2, 0.2, 0.2});
  }
  const Point crank = p(Shape::kPedals.x, Shape::kPedals.y);
  const Point seat = p(Shape::kSaddle.x, Shape::kSaddle.y - 0.06), seat_low = p(-0.16, 0.78);
  const Point head = p(0.36, 0.86), rear = p(-Shape::kHalfBase, Shape::kWheelRadius);
  const Point front = p(Shape::kHalfBase, Shape::kWheelRadius);
  const Point handle = p(Shape::kHandle.x, Shape::kHandle.y);
  for (const auto& [from, to] : {std::pair{crank, seat_low},
                                 {seat_low, head},
                                 {crank, head},
                                 {rear, crank},
                                 {rear, seat_low},
                                 {head, front}}) {
    painter.line(from, to, tube, paint_);
  }
  painter.line(seat_low, seat, tube * 0.8, {0.6, 0.6, 0.6});
  painter.line(seat - Point{0.1 * s, 0}, seat + Point{0.1 * s, 0}, 0.07 * s, saddle_);
  painter.line(head, handle, tube * 0.8, {0.6, 0.6, 0.6});
  painter.line(handle - Point{0.07 * s, 0}, handle + Point{0.07 * s, 0}, 0.05 * s, saddle_);
  const double angle = Shape::crank_angle(stance.travelled);
  for (double end : {-1.0, 1.0}) {
    const Point pedal{Shape::kPedals.x + end * Shape::kCrank * std::cos(angle),
                      Shape::kPedals.y + end * Shape::kCrank * std::sin(angle)};
    painter.line(crank, p(pedal.x, pedal.y), tube * 0.7, {0.5, 0.5, 0.5});
  }
  painter.circle(crank, 0.09 * s, {0.3, 0.3, 0.32});
  if (basket_) {
    painter.polygon({p(0.42, 0.98), p(0.78, 0.98), p(0.72, 0.72), p(0.46, 0.72)},
                    Color{0.55, 0.4, 0.22});
  }
}

}  // namespace

std::unique_ptr<Actor> make_car(Rng rng, Path path, bool lights_on) {
  return std::make_unique<Car>(rng, std::move(path), lights_on);
}
std::unique_ptr<Actor> make_bicycle(Rng rng, Path path) {
  return std::make_unique<Bicycle>(rng, std::move(path));
}

}  // namespace peregrine::synth
