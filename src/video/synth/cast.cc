// SPDX-License-Identifier: Apache-2.0
// Who comes along, when and where. Each kind of actor arrives at a steady rate, so that any
// stretch of a clip is as busy as any other; everybody is drawn from a generator of their own.
#include <algorithm>
#include <numbers>

#include "video/synth/actors.h"

namespace peregrine::synth {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kBefore = -1;  // whoever stays is there before the clip begins

class Casting {
 public:
  Casting(const Scene& scene, const SynthOptions& options)
      : scene_(scene), options_(options), rng_(Rng::of(options.seed, 1000)) {}

  std::vector<std::unique_ptr<Actor>> all() {
    const Layout& l = scene_.layout;
    busy_ = options_.crowd * rng_.range(0.5, 1.2);
    pedestrians(l.nearest * 1.02, l.near_curb - 0.2, 2.6);
    pedestrians(l.far_curb + 0.4, l.facade - 0.5, 3.2);
    crossers(1.2);
    standing(4);
    traffic(true);
    traffic(false);
    parked_cars();
    riders(0.9);
    parked_bicycles();
    dogs(1.2);
    balls(1.1);
    std::stable_sort(cast_.begin(), cast_.end(), [](const auto& a, const auto& b) {
      return a->path().start() < b->path().start();
    });
    return std::move(cast_);
  }

 private:
  Rng individual() { return Rng::of(options_.seed, 5000 + ++individuals_); }
  /// Half of the street's width in view at `z`, with room for `size` metres to stay out of sight.
  double edge(double z, double size) const {
    const double half = std::max(scene_.camera.center, options_.width - scene_.camera.center);
    return half * 1.05 / scene_.camera.scale(z) + size;
  }
  /// Start times for actors that stay `stay` seconds so that about `together` are there at once.
  template <typename Make>
  void arrive(double together, double stay, Make make) {
    const double rate = together * busy_ / stay;
    if (rate <= 0) return;
    for (double t = -stay + rng_.uniform() / rate; t < options_.seconds;
         t += rng_.range(0.4, 1.6) / rate) {
      make(t);
    }
  }
  Path across(double z, double drift, double size, double speed, double start) {
    const double from = edge(z, size) * rng_.sign();
    return Path({{from, z}, {-from, z + drift}}, speed, start);
  }
  void add(std::unique_ptr<Actor> actor) { cast_.push_back(std::move(actor)); }

  void pedestrians(double near, double far, double together) {
    arrive(together, 2 * edge((near + far) / 2, 0.6) / 1.3, [&](double start) {
      const double z = rng_.range(near, far);
      const double drift = rng_.range(-0.4, 0.4);
      const bool child = rng_.chance(0.12);
      const double speed = (child ? 1.0 : 1.3) * rng_.range(0.75, 1.25);
      const Path path = across(z, std::clamp(z + drift, near, far) - z, 0.7, speed, start);
      add(make_person(individual(), path, Activity::kWalk, child));
    });
  }
  void crossers(double together) {
    const Layout& l = scene_.layout;
    arrive(together, 14, [&](double start) {
      // From one pavement to the other, then on along it and out of the picture.
      const double near = rng_.range(l.nearest * 1.05, l.near_curb),
                   far = rng_.range(l.far_curb, l.facade - 0.6);
      const double x = rng_.range(-0.7, 0.7) * edge(near, 0), way = rng_.sign();
      const double side = rng_.sign();
      std::vector<Point> corners = {{side * edge(near, 0.7), near},
                                    {x, near},
                                    {x + rng_.range(-2, 2), far},
                                    {way * edge(far, 0.7), far}};
      if (rng_.chance(0.5)) std::reverse(corners.begin(), corners.end());
      add(make_person(individual(), Path(corners, rng_.range(1.1, 1.7), start), Activity::kWalk,
                      false));
    });
  }
  void standing(double most) {
    const Layout& l = scene_.layout;
    const int count = static_cast<int>(rng_.range(0, most) * std::min(2.0, busy_));
    for (int i = 0; i < count; ++i) {
      const bool near = rng_.chance(0.4);
      const double z = near ? rng_.range(l.nearest * 1.1, l.near_curb)
                            : rng_.range(l.far_curb + 0.3, l.facade - 0.5);
      const double x = rng_.range(-0.85, 0.85) * edge(z, 0);
      const Path path =
          Path::standing({x, z}, rng_.range(-kPi, kPi), kBefore, options_.seconds + 1);
      add(make_person(individual(), path, Activity::kStand, rng_.chance(0.15)));
    }
  }
  void traffic(bool near) {
    const double z = scene_.layout.lane(near);
    const double speed = rng_.range(4, 9) * (near ? 1 : -1);  // one speed a lane: nobody overtakes
    const double reach = edge(z, 3);
    double free_at = -1e9;
    arrive(0.9, 2 * reach / std::abs(speed), [&](double start) {
      start = std::max(start, free_at);
      free_at = start + 6.5 / std::abs(speed);
      const double from = speed > 0 ? -reach : reach;
      add(make_car(individual(), Path({{from, z}, {-from, z}}, std::abs(speed), start),
                   scene_.lighting.lit()));
    });
  }
  void parked_cars() {
    if (!rng_.chance(0.6)) return;
    const double z = scene_.layout.far_curb - 1.0;
    double x = -edge(z, 0) + rng_.range(0, 8);
    while (x < edge(z, 0)) {
      add(make_car(
          individual(),
          Path::standing({x, z}, rng_.chance(0.5) ? 0 : kPi, kBefore, options_.seconds + 1),
          false));
      x += rng_.range(5.5, 16) / std::max(0.3, busy_);
    }
  }
  void riders(double together) {
    const Layout& l = scene_.layout;
    arrive(together, 2 * edge(l.near_curb, 1) / 3.5, [&](double start) {
      const double z = rng_.chance(0.5) ? rng_.range(l.near_curb, l.near_curb + 1.0)
                                        : rng_.range(l.far_curb - 2.6, l.far_curb - 1.9);
      const Path path = across(z, 0, 1.0, rng_.range(2.6, 4.6), start);
      add(make_bicycle(individual(), path));
      add(make_person(individual(), path, Activity::kRide, false));
    });
  }
  void parked_bicycles() {
    const int count = static_cast<int>(rng_.range(0, 3.2) * std::min(1.5, options_.crowd));
    for (int i = 0; i < count; ++i) {
      const bool near = rng_.chance(0.35);
      const double z = near ? rng_.range(scene_.layout.nearest * 1.1, scene_.layout.near_curb - 0.3)
                            : scene_.layout.facade - rng_.range(0.4, 1.2);
      const double x = rng_.range(-0.9, 0.9) * edge(z, 0);
      add(make_bicycle(individual(), Path::standing({x, z}, rng_.chance(0.5) ? 0 : kPi, kBefore,
                                                    options_.seconds + 1)));
    }
  }
  void dogs(double together) {
    const Layout& l = scene_.layout;
    arrive(together, 2 * edge(l.near_curb, 0.7) / 1.6, [&](double start) {
      const bool near = rng_.chance(0.6);
      const double z = near ? rng_.range(l.nearest * 1.05, l.near_curb)
                            : rng_.range(l.far_curb + 0.3, l.facade - 0.5);
      const double drift = near ? 0 : rng_.range(-0.2, 0.2);
      add(make_dog(individual(), across(z, drift, 0.9, rng_.range(1.1, 2.4), start)));
    });
  }
  void balls(double together) {
    const Layout& l = scene_.layout;
    arrive(together, 2 * edge(l.near_curb, 0.3) / 2.5, [&](double start) {
      const double z = rng_.range(l.nearest * 1.05, l.far_curb);
      add(make_ball(individual(), across(z, rng_.range(-1, 1), 0.4, rng_.range(1.5, 4), start)));
    });
  }

  const Scene& scene_;
  const SynthOptions& options_;
  Rng rng_;
  double busy_ = 1;
  std::uint64_t individuals_ = 0;
  std::vector<std::unique_ptr<Actor>> cast_;
};

}  // namespace

std::vector<std::unique_ptr<Actor>> cast_actors(const Scene& scene, const SynthOptions& options) {
  return Casting(scene, options).all();
}

}  // namespace peregrine::synth
