// SPDX-License-Identifier: Apache-2.0
// People: a skeleton in metres that walks, stands or rides, dressed in capsules. Everything is
// posed in three dimensions and then projected, so that a walk looks right from any side.
#include <algorithm>
#include <numbers>

#include "video/synth/actors.h"

namespace peregrine::synth {
namespace {

enum class Top : std::uint8_t { kPlain, kStripes, kBand, kJacket };
enum class Legs : std::uint8_t { kTrousers, kShorts, kSkirt };
enum class Hair : std::uint8_t { kShort, kLong, kBun, kBald };

/// What makes an individual.
struct Look {
  double height = 1.75, build = 1;
  Color skin, hair_color, top, top_second, legs, shoes, bag, cap;
  Top top_style = Top::kPlain;
  Legs legs_style = Legs::kTrousers;
  Hair hair = Hair::kShort;
  bool long_sleeves = false, has_cap = false, has_backpack = false, has_bag = false;
  int stripes = 7;
};

Color clothes_color(Rng& rng) {
  if (rng.chance(0.25)) return Color{1, 1, 1} * rng.range(0.08, 0.95);
  return from_hsv(rng.uniform(), rng.range(0.35, 0.95), rng.range(0.25, 0.95));
}

Look make_look(Rng& rng, bool child) {
  Look look;
  look.height = child ? rng.range(1.05, 1.4) : std::clamp(1.72 + 0.09 * rng.normal(), 1.5, 1.98);
  look.build = std::clamp(1 + 0.13 * rng.normal(), 0.78, 1.4);
  look.skin = mix(Color{0.98, 0.82, 0.70}, Color{0.36, 0.22, 0.14}, rng.uniform());
  const Color hairs[] = {{0.09, 0.07, 0.06}, {0.24, 0.15, 0.08}, {0.45, 0.28, 0.13},
                         {0.85, 0.68, 0.36}, {0.65, 0.65, 0.66}, {0.58, 0.22, 0.09}};
  look.hair_color = shade(hairs[rng.below(6)], rng.range(-0.2, 0.15));
  look.top = clothes_color(rng);
  look.top_second = clothes_color(rng);
  look.legs = rng.chance(0.45) ? from_hsv(0.6, rng.range(0.2, 0.6), rng.range(0.15, 0.5))
                               : clothes_color(rng);
  look.shoes = clothes_color(rng);
  look.bag = clothes_color(rng);
  look.cap = clothes_color(rng);
  const double style = rng.uniform();
  look.top_style = style < 0.45   ? Top::kPlain
                   : style < 0.65 ? Top::kStripes
                   : style < 0.80 ? Top::kBand
                                  : Top::kJacket;
  const double below = rng.uniform();
  look.legs_style = below < 0.65 ? Legs::kTrousers : below < 0.83 ? Legs::kShorts : Legs::kSkirt;
  const double hair = rng.uniform();
  look.hair = hair < 0.5    ? Hair::kShort
              : hair < 0.78 ? Hair::kLong
              : hair < 0.9  ? Hair::kBun
                            : Hair::kBald;
  look.long_sleeves = rng.chance(0.5);
  look.has_cap = rng.chance(0.2);
  look.has_backpack = rng.chance(0.25);
  look.has_bag = !look.has_backpack && rng.chance(0.25);
  look.stripes = 5 + 2 * rng.below(4);
  return look;
}

enum Side { kLeft = 0, kRight = 1 };

/// Joints in the street, metres.
struct Skeleton {
  Vec3 head, neck, pelvis, chest;
  Vec3 shoulder[2], elbow[2], wrist[2], hip[2], knee[2], ankle[2], toe[2];
  Vec3 forward, left, up{0, 1, 0};
  double head_radius = 0.11;
};

/// The body's own frame: `forward` along the heading, `left` to the person's left.
struct BodyFrame {
  Vec3 origin, forward, left;
  Vec3 at(double ahead, double up, double aside) const {
    return origin + forward * ahead + left * aside + Vec3{0, up, 0};
  }
};

BodyFrame body_frame(const Stance& stance) {
  const double c = std::cos(stance.heading), s = std::sin(stance.heading);
  return {{stance.x, 0, stance.z}, {c, 0, s}, {-s, 0, c}};
}

/// Where two bones of lengths `upper` and `lower` bend between `from` and `to` (ahead, up);
/// `bend` +1 bends forward (knees), -1 backward (elbows).
Point bend_between(Point from, Point to, double upper, double lower, double bend) {
  const Point span = to - from;
  const double reach = std::clamp(std::hypot(span.x, span.y), 1e-6, upper + lower - 1e-6);
  const double along = (upper * upper - lower * lower + reach * reach) / (2 * reach);
  const double aside = std::sqrt(std::max(0.0, upper * upper - along * along));
  const Point unit = span * (1 / reach);
  return from + unit * along + Point{-unit.y, unit.x} * (aside * bend);
}

class Person final : public Actor {
 public:
  Person(Rng rng, Path path, Activity activity, bool child)
      : Actor(SynthClass::kPerson, std::move(path)),
        look_(make_look(rng, child)),
        activity_(activity),
        phase_(rng.range(0, 2 * std::numbers::pi)),
        swing_(rng.range(0.85, 1.15)),
        fidget_(rng.range(0.5, 1.2)) {}

  // A rider sits in front of the own bicycle.
  double depth(double seconds) const override {
    return Actor::depth(seconds) - (activity_ == Activity::kRide ? 0.02 : 0.0);
  }
  Vec3 shadow_size() const override {
    return activity_ == Activity::kRide ? Vec3{} : Vec3{0.5 * look_.build, look_.height, 0.35};
  }
  Extent extent(const Camera& camera, double seconds) const override;
  void draw(Painter& painter, const Camera& camera, double seconds) const override;
  bool keypoints(const Camera& camera, double seconds,
                 std::array<BodyPoint, 17>& points) const override;

 private:
  struct Figure;  // a skeleton seen by a camera

  Skeleton pose(double seconds) const;
  void pose_walking(Skeleton& s, const BodyFrame& frame, const Stance& stance,
                    double seconds) const;
  void pose_riding(Skeleton& s, const BodyFrame& frame, const Stance& stance) const;
  void place_head(Skeleton& s, const BodyFrame& frame, double lean) const;

  void draw_leg(const Figure& figure, Side side) const;
  void draw_arm(const Figure& figure, Side side) const;
  void draw_torso(const Figure& figure) const;
  void draw_backpack(const Figure& figure) const;
  void draw_head(const Figure& figure) const;
  void draw_face(const Figure& figure, Point center, double radius) const;

  Look look_;
  Activity activity_;
  double phase_, swing_, fidget_;
};

void Person::place_head(Skeleton& s, const BodyFrame& frame, double lean) const {
  const double h = look_.height;
  s.forward = frame.forward;
  s.left = frame.left;
  s.head_radius = 0.064 * (look_.height < 1.45 ? 1.25 : 1.0) * h;
  s.neck = s.chest + frame.forward * (0.035 * h * lean) + Vec3{0, 0.045 * h, 0};
  s.head = s.neck + frame.forward * (0.02 * h + 0.04 * h * lean) + Vec3{0, 0.072 * h, 0};
}

void Person::pose_walking(Skeleton& s, const BodyFrame& frame, const Stance& stance,
                          double seconds) const {
  const double h = look_.height;
  const double thigh = 0.245 * h, shank = 0.245 * h, upper_arm = 0.172 * h, forearm = 0.15 * h;
  const bool walking = activity_ == Activity::kWalk;
  // Two steps a cycle; a person steps about 0.43 body heights.
  const double cycle =
      phase_ + (walking ? 2 * std::numbers::pi * stance.travelled / (0.86 * h) : 0);
  const double swing = walking ? 0.46 * swing_ : 0.04;
  double lowest = 0;
  Point hip{0, 0.53 * h}, knees[2], ankles[2];
  for (int side : {kLeft, kRight}) {
    const double phase = cycle + (side == kLeft ? 0 : std::numbers::pi);
    const double hip_angle = swing * std::sin(phase) + 0.04;
    // The leg that comes forward is bent, the one that carries is nearly straight.
    const double knee_angle = 0.08 + 1.9 * swing * std::pow(std::max(0.0, std::cos(phase)), 1.5);
    knees[side] = hip + Point{std::sin(hip_angle), -std::cos(hip_angle)} * thigh;
    const double shin = hip_angle - knee_angle;
    ankles[side] = knees[side] + Point{std::sin(shin), -std::cos(shin)} * shank;
    lowest = side == kLeft ? ankles[side].y : std::min(lowest, ankles[side].y);
  }
  const double lift = 0.045 * h - lowest;  // the carrying foot stands on the ground
  const double hip_half = 0.052 * h * look_.build, shoulder_half = 0.108 * h * look_.build;
  const double sway = walking ? 0 : 0.012 * h * std::sin(fidget_ * seconds + phase_);
  s.pelvis = frame.at(0, hip.y + lift, sway);
  s.chest = frame.at(0.02 * h, 0.82 * h + lift, 0.6 * sway);
  for (int side : {kLeft, kRight}) {
    const double aside = side == kLeft ? 1 : -1;
    s.hip[side] = frame.at(0, hip.y + lift, aside * hip_half + sway);
    s.knee[side] = frame.at(knees[side].x, knees[side].y + lift, aside * hip_half * 0.95);
    s.ankle[side] = frame.at(ankles[side].x, ankles[side].y + lift, aside * hip_half * 0.9);
    s.toe[side] = s.ankle[side] + frame.forward * (0.085 * h) + Vec3{0, -0.022 * h, 0};
    const double phase = cycle + (side == kLeft ? std::numbers::pi : 0);
    const double gesture = walking ? 0 : 0.5 + 0.5 * std::sin(fidget_ * seconds * 1.3 + side * 2.1);
    const double arm = (walking ? 0.9 * swing * std::sin(phase) : 0.1 * gesture);
    const double elbow = arm + (walking ? 0.25 + 0.3 * std::max(0.0, std::sin(phase))
                                        : 0.15 + (side == kLeft ? 1.2 : 0.4) * gesture);
    s.shoulder[side] = frame.at(0.02 * h, 0.81 * h + lift, aside * shoulder_half + 0.6 * sway);
    s.elbow[side] = s.shoulder[side] + frame.forward * (upper_arm * std::sin(arm)) +
                    frame.left * (aside * 0.035 * h * look_.build) +
                    Vec3{0, -upper_arm * std::cos(arm), 0};
    s.wrist[side] = s.elbow[side] + frame.forward * (forearm * std::sin(elbow)) +
                    frame.left * (aside * 0.006 * h) + Vec3{0, -forearm * std::cos(elbow), 0};
  }
  place_head(s, frame, 0.3);
}

void Person::pose_riding(Skeleton& s, const BodyFrame& frame, const Stance& stance) const {
  using Bike = BicycleShape;
  const double h = look_.height;
  const Point saddle = Bike::kSaddle + Point{0, 0.05};
  const double trunk = 0.29 * h, lean = 0.55;
  const Point shoulder = saddle + Point{std::sin(lean), std::cos(lean)} * trunk;
  const double crank = Bike::crank_angle(stance.travelled);
  s.pelvis = frame.at(saddle.x, saddle.y, 0);
  s.chest = frame.at(shoulder.x, shoulder.y + 0.01 * h, 0);
  for (int side : {kLeft, kRight}) {
    const double aside = side == kLeft ? 1 : -1;
    const double angle = crank + (side == kLeft ? 0 : std::numbers::pi);
    const Point foot =
        Bike::kPedals + Point{std::cos(angle), std::sin(angle)} * Bike::kCrank + Point{-0.06, 0.09};
    const Point knee = bend_between(saddle, foot, 0.245 * h, 0.245 * h, 1);
    const Point elbow = bend_between(shoulder, Bike::kHandle, 0.172 * h, 0.172 * h, -1);
    s.hip[side] = frame.at(saddle.x, saddle.y, aside * 0.05 * h);
    s.knee[side] = frame.at(knee.x, knee.y, aside * 0.055 * h);
    s.ankle[side] = frame.at(foot.x, foot.y, aside * 0.05 * h);
    s.toe[side] = frame.at(foot.x + 0.08 * h, foot.y - 0.03 * h, aside * 0.05 * h);
    s.shoulder[side] = frame.at(shoulder.x, shoulder.y, aside * 0.1 * h * look_.build);
    s.elbow[side] = frame.at(elbow.x, elbow.y, aside * 0.13 * h);
    s.wrist[side] = frame.at(Bike::kHandle.x, Bike::kHandle.y, aside * 0.12 * h);
  }
  place_head(s, frame, 1.0);
}

Skeleton Person::pose(double seconds) const {
  Skeleton s;
  const Stance stance = path().at(seconds);
  const BodyFrame frame = body_frame(stance);
  if (activity_ == Activity::kRide) {
    pose_riding(s, frame, stance);
  } else {
    pose_walking(s, frame, stance, seconds);
  }
  return s;
}

/// A skeleton in front of a camera; sizes are in pixels.
struct Person::Figure {
  Painter& painter;
  const Camera& camera;
  const Skeleton& bones;
  double scale;   // pixels a metre
  double h;       // pixels of body height
  double facing;  // 1 towards the camera, -1 away from it
  bool fine;      // large enough for details
  Point at(Vec3 p) const { return camera.project(p); }
};

Extent Person::extent(const Camera& camera, double seconds) const {
  const Skeleton s = pose(seconds);
  Extent extent;
  const double pixels = look_.height * camera.scale(s.pelvis.z);
  extent.add(camera.project(s.head), 0.12 * pixels);
  extent.add(camera.project(s.chest), (look_.has_backpack ? 0.2 : 0.1) * pixels);
  for (int side : {kLeft, kRight}) {
    for (const Vec3& joint : {s.shoulder[side], s.elbow[side], s.wrist[side], s.hip[side],
                              s.knee[side], s.ankle[side], s.toe[side]}) {
      extent.add(camera.project(joint), 0.075 * pixels * look_.build);
    }
    if (look_.has_bag) extent.add(camera.project(s.wrist[side]), 0.17 * pixels);
  }
  return extent;
}

void Person::draw_leg(const Figure& f, Side side) const {
  const Skeleton& s = f.bones;
  const double b = look_.build;
  const double shadow = f.at(s.knee[side]).y > 0 && s.knee[side].z > s.pelvis.z + 0.01 ? -0.22 : 0;
  const Color cloth = shade(look_.legs, shadow), skin = shade(look_.skin, shadow);
  const Point hip = f.at(s.hip[side]), knee = f.at(s.knee[side]), ankle = f.at(s.ankle[side]);
  const bool trousers = look_.legs_style == Legs::kTrousers;
  const double ankle_radius = (trousers ? 0.030 : 0.022) * f.h;
  f.painter.capsule(knee, 0.036 * f.h * b, ankle, ankle_radius, trousers ? cloth : skin);
  f.painter.capsule(ankle + Point{0, 0.012 * f.h}, 0.024 * f.h, f.at(s.toe[side]), 0.02 * f.h,
                    shade(look_.shoes, shadow));
  if (look_.legs_style == Legs::kSkirt) {
    f.painter.capsule(hip, 0.05 * f.h * b, knee, 0.034 * f.h * b, skin);
    return;
  }
  f.painter.capsule(hip, 0.054 * f.h * b, knee, 0.04 * f.h * b, cloth);
  if (f.fine && trousers) {
    f.painter.line(mix(hip, knee, 0.2) - Point{0.015 * f.h, 0}, mix(knee, ankle, 0.6), 0.012 * f.h,
                   shade(cloth, 0.14), 0.8);
  }
}

void Person::draw_arm(const Figure& f, Side side) const {
  const Skeleton& s = f.bones;
  const double shadow = s.shoulder[side].z > s.chest.z + 0.02 ? -0.25 : -0.06;
  const Color sleeve =
      shade(look_.top_style == Top::kJacket ? look_.top_second : look_.top, shadow);
  const Color skin = shade(look_.skin, shadow);
  const Point shoulder = f.at(s.shoulder[side]), elbow = f.at(s.elbow[side]);
  const Point wrist = f.at(s.wrist[side]);
  const double b = look_.build;
  f.painter.capsule(elbow, 0.026 * f.h * b, wrist, 0.021 * f.h, look_.long_sleeves ? sleeve : skin);
  f.painter.capsule(shoulder, 0.037 * f.h * b, elbow, 0.029 * f.h * b, sleeve);
  f.painter.circle(wrist + (wrist - elbow) * 0.12, 0.025 * f.h, skin);
  if (look_.has_bag && side == kRight) {
    const double w = 0.075 * f.h;
    f.painter.blob({wrist + Point{-w, 0.03 * f.h}, wrist + Point{w, 0.03 * f.h},
                    wrist + Point{w, 0.13 * f.h}, wrist + Point{-w, 0.13 * f.h}},
                   0.012 * f.h, shade(look_.bag, shadow));
  }
}

void Person::draw_torso(const Figure& f) const {
  const Skeleton& s = f.bones;
  const double radius = 0.052 * f.h * look_.build;
  const Point ls = f.at(s.shoulder[kLeft]) + Point{0, 0.025 * f.h};
  const Point rs = f.at(s.shoulder[kRight]) + Point{0, 0.025 * f.h};
  const Point lh = f.at(s.hip[kLeft]), rh = f.at(s.hip[kRight]);
  const Point top = mix(ls, rs, 0.5), bottom = mix(lh, rh, 0.5);
  const Point across = Point{0.14 * f.h, 0};
  if (look_.legs_style == Legs::kSkirt) {
    const Point lk = f.at(s.knee[kLeft]), rk = f.at(s.knee[kRight]);
    const Point flare{0.02 * f.h, 0};
    const bool left_first = lk.x < rk.x;
    const Point a = (left_first ? lk : rk) - flare, c = (left_first ? rk : lk) + flare;
    const bool left_hip_first = lh.x < rh.x;
    f.painter.blob(
        {left_hip_first ? lh : rh, left_hip_first ? rh : lh, c, a}, 0.04 * f.h,
        Ramp{bottom - across, bottom + across, shade(look_.legs, 0.1), shade(look_.legs, -0.25)});
  } else {
    f.painter.blob({lh, rh, mix(bottom, top, 0.12)}, radius * 0.98, look_.legs);
  }
  const Point belt_l = mix(lh, ls, 0.16), belt_r = mix(rh, rs, 0.16);
  const Color main = look_.top_style == Top::kJacket ? look_.top_second : look_.top;
  Ramp ramp{top - across, top + across, shade(main, 0.12), shade(main, -0.22)};
  if (look_.top_style == Top::kStripes) {
    ramp = {top - Point{0, radius}, bottom, look_.top, look_.top_second, look_.stripes};
  }
  f.painter.blob({ls, rs, belt_r, belt_l}, radius, ramp);
  if (look_.top_style == Top::kBand) {
    f.painter.blob({mix(ls, lh, 0.36), mix(rs, rh, 0.36), mix(rs, rh, 0.52), mix(ls, lh, 0.52)},
                   radius * 0.9, shade(look_.top_second, -0.05));
  }
  if (look_.top_style == Top::kJacket && f.facing > -0.2) {  // the shirt shows in its opening
    const Point open{0.022 * f.h * std::max(0.2, f.facing), 0};
    const Vec3 ahead = s.forward * (0.03 * look_.height);
    const Point collar = f.at(s.chest + ahead), hem = f.at(s.pelvis + ahead) - Point{0, 0.03 * f.h};
    f.painter.polygon({collar - open * 1.6, collar + open * 1.6, hem + open, hem - open},
                      look_.top);
  }
}

void Person::draw_backpack(const Figure& f) const {
  const Skeleton& s = f.bones;
  const Vec3 back = s.forward * (-0.1 * look_.height);
  const Vec3 half = s.left * (0.055 * look_.height);
  const Vec3 top = s.chest + back, bottom = mix(s.chest, s.pelvis, 0.8) + back;
  const Point middle = f.at(top);
  f.painter.blob({f.at(top + half), f.at(top - half), f.at(bottom - half), f.at(bottom + half)},
                 0.036 * f.h,
                 Ramp{middle - Point{0.1 * f.h, 0}, middle + Point{0.1 * f.h, 0},
                      shade(look_.bag, 0.15), shade(look_.bag, -0.2)});
}

void Person::draw_face(const Figure& f, Point center, double radius) const {
  const Skeleton& s = f.bones;
  const double r = s.head_radius;
  if (f.facing < -0.15) return;
  for (double aside : {0.38, -0.38}) {
    const Vec3 eye = s.forward * (0.82 * r) + s.left * (aside * r) + s.up * (0.12 * r);
    if (eye.z > 0.25 * r) continue;  // on the far side of the head
    f.painter.circle(f.at(s.head + eye), 0.13 * radius, {0.08, 0.06, 0.06});
  }
  const Point nose = f.at(s.head + s.forward * (1.02 * r) + s.up * (-0.12 * r));
  f.painter.circle(nose, 0.14 * radius, shade(look_.skin, -0.12));
  const Point mouth = f.at(s.head + s.forward * (0.85 * r) + s.up * (-0.5 * r));
  if (f.facing > 0.1) {
    f.painter.line(mouth - Point{0.2 * radius * f.facing, 0},
                   mouth + Point{0.2 * radius * f.facing, 0}, 0.1 * radius, {0.5, 0.18, 0.16}, 0.8);
  }
  (void)center;
}

void Person::draw_head(const Figure& f) const {
  const Skeleton& s = f.bones;
  const double r = s.head_radius * f.scale;
  const Point center = f.at(s.head);
  const Point crown =
      f.at(s.head + s.forward * (-0.22 * s.head_radius) + s.up * (0.22 * s.head_radius));
  const Color skin = shade(look_.skin, -0.04);
  f.painter.capsule(f.at(s.neck + s.up * (-0.02 * look_.height)), 0.03 * f.h, center, 0.034 * f.h,
                    shade(look_.skin, -0.18));
  const auto hair_back = [&] {
    if (look_.hair == Hair::kBald) return;
    f.painter.circle(crown, r * 1.06, look_.hair_color);
    if (look_.hair == Hair::kLong) {
      const Point nape = f.at(s.neck + s.forward * (-0.55 * s.head_radius));
      f.painter.capsule(crown, r * 0.98, nape + Point{0, 0.3 * r}, r * 0.75, look_.hair_color);
    }
    if (look_.hair == Hair::kBun) {
      f.painter.circle(
          f.at(s.head + s.forward * (-0.95 * s.head_radius) + s.up * (0.75 * s.head_radius)),
          r * 0.5, shade(look_.hair_color, 0.08));
    }
  };
  const auto face = [&] {
    f.painter.ellipse(center, r * 0.93, r * 1.08, skin);
    if (look_.hair != Hair::kBald) {  // a fringe over the forehead
      const Point brow =
          f.at(s.head + s.forward * (0.25 * s.head_radius) + s.up * (0.55 * s.head_radius));
      f.painter.ellipse(brow, r * 0.85, r * 0.5, look_.hair_color);
    }
    if (f.fine) draw_face(f, center, r);
  };
  if (f.facing >= -0.25) {
    hair_back();
    face();
  } else {
    face();
    hair_back();
  }
  if (look_.has_cap) {
    const Point dome = f.at(s.head + s.up * (0.35 * s.head_radius));
    f.painter.arc(dome + Point{0, 0.1 * r}, r * 1.08, std::numbers::pi, 2 * std::numbers::pi,
                  look_.cap);
    const Point peak =
        f.at(s.head + s.forward * (1.5 * s.head_radius) + s.up * (0.42 * s.head_radius));
    if (f.facing > -0.5) f.painter.capsule(dome, 0.22 * r, peak, 0.14 * r, shade(look_.cap, -0.2));
  }
  // Ears, where they are not under long hair.
  if (look_.hair != Hair::kLong) {
    for (double aside : {0.95, -0.95}) {
      const Vec3 ear = s.left * (aside * s.head_radius);
      if (ear.z > 0.3 * s.head_radius) continue;
      f.painter.ellipse(f.at(s.head + ear), 0.16 * r, 0.24 * r, shade(look_.skin, -0.15));
    }
  }
}

void Person::draw(Painter& painter, const Camera& camera, double seconds) const {
  const Skeleton s = pose(seconds);
  const double scale = camera.scale(s.pelvis.z);
  const double h = look_.height * scale;
  const Figure figure{painter, camera, s, scale, h, -s.forward.z, h > 60};
  // Far parts first. Legs hide behind the torso's hem, arms lie before or behind the whole body.
  const Side far = s.left.z > 0 ? kLeft : kRight, near = far == kLeft ? kRight : kLeft;
  const bool pack_in_front = figure.facing < 0;
  const bool sideways = std::abs(figure.facing) < 0.8;
  if (sideways || figure.facing < 0) draw_arm(figure, far);
  if (!sideways && figure.facing < 0) draw_arm(figure, near);
  if (look_.has_backpack && !pack_in_front) draw_backpack(figure);
  const Side behind = s.knee[far].z >= s.knee[near].z ? far : near;
  draw_leg(figure, behind);
  draw_leg(figure, behind == far ? near : far);
  draw_torso(figure);
  if (look_.has_backpack && pack_in_front) draw_backpack(figure);
  draw_head(figure);
  if (!sideways && figure.facing > 0) draw_arm(figure, far);
  if (sideways || figure.facing > 0) draw_arm(figure, near);
}

bool Person::keypoints(const Camera& camera, double seconds,
                       std::array<BodyPoint, 17>& points) const {
  const Skeleton s = pose(seconds);
  const double r = s.head_radius;
  const auto on_head = [&](Vec3 offset) {
    // A point of a sphere is in sight when it lies on the camera's side of it.
    return BodyPoint{camera.project(s.head + offset), offset.z > 0.3 * r};
  };
  points[0] = on_head(s.forward * (1.02 * r) + s.up * (-0.12 * r));
  for (int side : {kLeft, kRight}) {
    const double aside = side == kLeft ? 1 : -1;
    points[static_cast<size_t>(1 + side)] =
        on_head(s.forward * (0.82 * r) + s.left * (aside * 0.38 * r) + s.up * (0.12 * r));
    points[static_cast<size_t>(3 + side)] = on_head(s.left * (aside * 0.95 * r));
  }
  const Point hips = camera.project(s.pelvis), chest = camera.project(s.chest);
  const double trunk = 0.06 * look_.height * look_.build * camera.scale(s.pelvis.z);
  const auto of_limb = [&](Vec3 joint, double behind) {
    const Point p = camera.project(joint);
    const Point axis = chest - hips;
    const double length2 = axis.x * axis.x + axis.y * axis.y;
    const double t =
        std::clamp(((p.x - hips.x) * axis.x + (p.y - hips.y) * axis.y) / length2, 0.0, 1.0);
    const Point off = p - mix(hips, chest, t);
    return BodyPoint{p, joint.z > s.pelvis.z + behind && std::hypot(off.x, off.y) < trunk};
  };
  const double thick = 0.04 * look_.height;
  for (int side : {kLeft, kRight}) {
    const auto put = [&](int first, Vec3 joint) {
      points[static_cast<size_t>(first + side)] = of_limb(joint, thick);
    };
    put(5, s.shoulder[side]);
    put(7, s.elbow[side]);
    put(9, s.wrist[side]);
    put(11, s.hip[side]);
    put(13, s.knee[side]);
    put(15, s.ankle[side]);
  }
  return true;
}

}  // namespace

std::unique_ptr<Actor> make_person(Rng rng, Path path, Activity activity, bool child) {
  return std::make_unique<Person>(rng, std::move(path), activity, child);
}

}  // namespace peregrine::synth
