// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "video/synth/painter.h"
#include "video/synth/random.h"
#include "video/synth/scene.h"
#include "video/synth/synth.h"

namespace peregrine::synth {

/// A place on the ground and which way its owner looks (radians; 0 is +x, pi/2 away from the
/// camera).
struct Stance {
  double x = 0, z = 0, heading = 0;
  double travelled = 0;  ///< metres since the path began: what a gait depends on
};

/// A walk along corners at one speed, or a stay in one place.
class Path {
 public:
  /// `corners` (at least two) are x and z in metres; the path ends at the last.
  Path(std::vector<Point> corners, double speed, double start);
  static Path standing(Point place, double heading, double start, double end);
  double start() const { return start_; }
  double end() const { return end_; }
  double speed() const { return speed_; }
  Stance at(double seconds) const;

 private:
  Path() = default;
  Point position(double travelled) const;
  std::vector<Point> corners_;   // x and z
  std::vector<double> reached_;  // metres at each corner
  double speed_ = 0, start_ = 0, end_ = 0, heading_ = 0;
};

struct BodyPoint {
  Point place;
  bool hidden_by_self = false;
};

/// Something that lives in the world for a while.
class Actor {
 public:
  Actor(SynthClass class_id, Path path) : class_id_(class_id), path_(std::move(path)) {}
  virtual ~Actor() = default;

  SynthClass class_id() const { return class_id_; }
  const Path& path() const { return path_; }
  bool present(double seconds) const { return seconds >= path_.start() && seconds < path_.end(); }
  /// Metres from the camera that decide who hides whom.
  virtual double depth(double seconds) const { return path_.at(seconds).z; }
  /// Bounds of everything `draw` draws.
  virtual Extent extent(const Camera& camera, double seconds) const = 0;
  virtual void draw(Painter& painter, const Camera& camera, double seconds) const = 0;
  /// Length along the path, depth and height in metres of what casts a shadow; none for 0.
  virtual Vec3 shadow_size() const = 0;
  /// Fills COCO's body points; false for whatever has none.
  virtual bool keypoints(const Camera&, double, std::array<BodyPoint, 17>&) const { return false; }
  /// Where lamps shine forward: headlights, or nothing.
  virtual bool headlights(double, Vec3 (&)[2]) const { return false; }

 private:
  SynthClass class_id_;
  Path path_;
};

/// What a person does; decides the pose.
enum class Activity : std::uint8_t { kWalk, kStand, kRide };

std::unique_ptr<Actor> make_person(Rng rng, Path path, Activity activity, bool child);
std::unique_ptr<Actor> make_car(Rng rng, Path path, bool lights_on);
std::unique_ptr<Actor> make_bicycle(Rng rng, Path path);
std::unique_ptr<Actor> make_dog(Rng rng, Path path);
std::unique_ptr<Actor> make_ball(Rng rng, Path path);

/// The bicycle that `make_bicycle` draws and a riding person sits on, metres from its middle.
struct BicycleShape {
  static constexpr double kWheelRadius = 0.34, kHalfBase = 0.53, kCrank = 0.17;
  static constexpr Point kSaddle{-0.2, 0.96}, kHandle{0.36, 1.04}, kPedals{-0.03, 0.29};
  /// Crank angle after `travelled` metres.
  static double crank_angle(double travelled) { return -travelled / 0.85; }
};

/// Everybody who appears in `options.seconds`, by start time; ids are positions + 1.
std::vector<std::unique_ptr<Actor>> cast_actors(const Scene& scene, const SynthOptions& options);

}  // namespace peregrine::synth
