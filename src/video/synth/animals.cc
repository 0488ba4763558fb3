// SPDX-License-Identifier: Apache-2.0
// Dogs, which trot, and balls, which bounce.
#include <algorithm>
#include <numbers>

#include "video/synth/actors.h"

namespace peregrine::synth {
namespace {

constexpr double kTau = 2 * std::numbers::pi;

class Dog final : public Actor {
 public:
  Dog(Rng rng, Path path) : Actor(SynthClass::kDog, std::move(path)) {
    const Color coats[] = {{0.35, 0.22, 0.12},
                           {0.12, 0.11, 0.11},
                           {0.85, 0.78, 0.66},
                           {0.62, 0.42, 0.22},
                           {0.55, 0.55, 0.56}};
    coat_ = shade(coats[rng.below(5)], rng.range(-0.2, 0.2));
    patch_ = rng.chance(0.5) ? shade(coats[rng.below(5)], 0.1) : coat_;
    collar_ = from_hsv(rng.uniform(), 0.9, 0.9);
    height_ = rng.range(0.38, 0.66);  // at the shoulder
    stretch_ = rng.range(0.95, 1.35);
    phase_ = rng.range(0, kTau);
    floppy_ = rng.chance(0.5);
  }
  Vec3 shadow_size() const override { return {height_ * stretch_ * 1.3, height_, height_ * 0.5}; }
  Extent extent(const Camera& camera, double seconds) const override {
    Extent extent;
    const double s = height_ * camera.scale(path().at(seconds).z);
    const Body b = body(seconds);
    for (const Vec3& p : {b.chest, b.rump, b.head, b.nose, b.tail}) {
      extent.add(camera.project(p), 0.42 * s);
    }
    for (const Vec3& p : b.paw) extent.add(camera.project(p), 0.15 * s);
    return extent;
  }
  void draw(Painter& painter, const Camera& camera, double seconds) const override;

 private:
  struct Body {
    Vec3 chest, rump, head, nose, tail, left;
    Vec3 hip[4], knee[4], paw[4];  // front left, front right, back left, back right
  };
  Body body(double seconds) const;

  Color coat_, patch_, collar_;
  double height_, stretch_, phase_;
  bool floppy_;
};

Dog::Body Dog::body(double seconds) const {
  const Stance stance = path().at(seconds);
  const double c = std::cos(stance.heading), sn = std::sin(stance.heading);
  const Vec3 origin{stance.x, 0, stance.z}, forward{c, 0, sn}, left{-sn, 0, c};
  const double h = height_, half = 0.5 * h * stretch_ * 1.05;
  const auto at = [&](double ahead, double up, double aside) {
    return origin + forward * (ahead * h) + left * (aside * h) + Vec3{0, up * h, 0};
  };
  const bool moving = path().speed() > 0;
  const double cycle = phase_ + (moving ? kTau * stance.travelled / (1.5 * h) : 0);
  const double bob = moving ? 0.02 * std::sin(2 * cycle) : 0;
  const double reach = half / h;
  Body b;
  b.left = left;
  b.chest = at(reach, 0.88 + bob, 0);
  b.rump = at(-reach, 0.86 - bob, 0);
  b.head = at(reach + 0.38, 1.22 + bob, 0);
  b.nose = at(reach + 0.68, 1.13 + bob, 0);
  b.tail =
      at(-reach - 0.38, 1.12 + 0.08 * std::sin(6 * seconds + phase_), 0.1 * std::sin(9 * seconds));
  for (int leg = 0; leg < 4; ++leg) {
    const bool front = leg < 2;
    const double aside = leg % 2 == 0 ? 0.16 : -0.16;
    // A trot: legs move in diagonal pairs.
    const double phase = cycle + (leg == 0 || leg == 3 ? 0 : std::numbers::pi);
    const double swing = moving ? 0.3 * std::sin(phase) : 0;
    const double lift = moving ? 0.14 * std::max(0.0, std::cos(phase)) : 0;
    const double base = front ? reach - 0.05 : -reach + 0.02;
    b.hip[leg] = at(base, 0.72, aside);
    b.knee[leg] = at(base + 0.5 * swing + (front ? 0.02 : -0.09), 0.38 + lift, aside);
    b.paw[leg] = at(base + swing, 0.05 + lift, aside);
  }
  return b;
}

void Dog::draw(Painter& painter, const Camera& camera, double seconds) const {
  const Body b = body(seconds);
  const double s = height_ * camera.scale(path().at(seconds).z);
  const auto p = [&](Vec3 v) { return camera.project(v); };
  const auto leg = [&](int i, double shadow) {
    const Color color = shade(coat_, shadow);
    painter.capsule(p(b.hip[i]), 0.14 * s, p(b.knee[i]), 0.08 * s, color);
    painter.capsule(p(b.knee[i]), 0.075 * s, p(b.paw[i]), 0.06 * s, color);
  };
  const bool left_far = b.left.z > 0;
  leg(left_far ? 0 : 1, -0.35);
  leg(left_far ? 2 : 3, -0.35);
  painter.capsule(p(b.rump) - Point{0, 0.05 * s}, 0.07 * s, p(b.tail), 0.035 * s, coat_);
  const bool away = b.chest.z > b.rump.z + 0.15;
  const auto head = [&] {
    painter.capsule(p(b.chest), 0.17 * s, p(b.head), 0.14 * s, shade(coat_, -0.08));
    painter.line(mix(p(b.chest), p(b.head), 0.55) + Point{-0.12 * s, 0},
                 mix(p(b.chest), p(b.head), 0.55) + Point{0.12 * s, 0.05 * s}, 0.07 * s, collar_);
    painter.capsule(p(b.head), 0.19 * s, p(b.nose), 0.09 * s, shade(coat_, 0.06));
    if (!away) painter.circle(p(b.nose), 0.055 * s, {0.06, 0.05, 0.05});
    const Point ear = p(b.head - Vec3{0, -0.12 * height_, 0});
    painter.capsule(ear, 0.07 * s, ear + Point{0, (floppy_ ? 0.22 : -0.16) * s}, 0.045 * s,
                    shade(patch_, -0.3));
    if (s > 14 && !away)
      painter.circle(mix(p(b.head), p(b.nose), 0.35) - Point{0, 0.07 * s}, 0.035 * s,
                     {0.05, 0.04, 0.04});
  };
  if (away) head();
  painter.capsule(p(b.rump), 0.23 * s, p(b.chest), 0.27 * s, coat_);
  painter.ellipse(mix(p(b.rump), p(b.chest), 0.4) - Point{0, 0.08 * s}, 0.2 * s, 0.12 * s, patch_);
  if (!away) head();
  leg(left_far ? 1 : 0, -0.05);
  leg(left_far ? 3 : 2, -0.05);
}

class Ball final : public Actor {
 public:
  Ball(Rng rng, Path path) : Actor(SynthClass::kBall, std::move(path)) {
    const bool football = rng.chance(0.4);
    main_ = football ? Color{0.93, 0.93, 0.9} : from_hsv(rng.uniform(), 0.85, 0.9);
    // A football's patches are of any dark colour, so that two balls are rarely twins.
    patch_ = football ? from_hsv(rng.uniform(), 0.9, rng.range(0.1, 0.7))
                      : from_hsv(rng.uniform(), 0.7, 0.95);
    radius_ = rng.range(0.13, 0.24);
    bounce_ = rng.chance(0.7) ? rng.range(0.3, 1.3) : 0.0;
    period_ = 2 * std::sqrt(2 * bounce_ / 9.81);
  }
  Vec3 shadow_size() const override { return {radius_ * 2, radius_, radius_ * 1.4}; }
  Extent extent(const Camera& camera, double seconds) const override {
    Extent extent;
    const Vec3 c = center(seconds);
    extent.add(camera.project(c), radius_ * camera.scale(c.z));
    return extent;
  }
  void draw(Painter& painter, const Camera& camera, double seconds) const override {
    const Vec3 c = center(seconds);
    const Point p = camera.project(c);
    const double r = radius_ * camera.scale(c.z);
    painter.circle(p, r, main_);
    const double turn = path().at(seconds).travelled / radius_;
    for (int i = 0; i < 5; ++i) {
      // Patches on a ring round the ball; those on the far half are hidden.
      const double angle = turn + i * kTau / 5;
      if (std::sin(angle) < -0.15) continue;
      const double squash = 0.35 + 0.65 * std::max(0.0, std::sin(angle));
      painter.ellipse(p + Point{std::cos(angle) * r * 0.68, (i % 2 ? 0.32 : -0.32) * r},
                      r * 0.27 * squash, r * 0.27, patch_);
    }
    painter.circle(p - Point{0.3 * r, 0.35 * r}, 0.3 * r, {1, 1, 1}, 0.35);
  }

 private:
  Vec3 center(double seconds) const {
    const Stance stance = path().at(seconds);
    double up = 0;
    if (bounce_ > 0) {
      const double t = std::fmod(seconds - path().start(), period_);
      up = 0.5 * 9.81 * t * (period_ - t);
    }
    return {stance.x, radius_ + up, stance.z};
  }
  Color main_, patch_;
  double radius_, bounce_, period_;
};

}  // namespace

std::unique_ptr<Actor> make_dog(Rng rng, Path path) {
  return std::make_unique<Dog>(rng, std::move(path));
}
std::unique_ptr<Actor> make_ball(Rng rng, Path path) {
  return std::make_unique<Ball>(rng, std::move(path));
}

}  // namespace peregrine::synth
