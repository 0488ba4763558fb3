// SPDX-License-Identifier: Apache-2.0
#include "video/synth/actors.h"

namespace peregrine::synth {

Path::Path(std::vector<Point> corners, double speed, double start)
    : corners_(std::move(corners)), speed_(speed), start_(start) {
  reached_.push_back(0);
  for (std::size_t i = 1; i < corners_.size(); ++i) {
    const Point leg = corners_[i] - corners_[i - 1];
    reached_.push_back(reached_.back() + std::hypot(leg.x, leg.y));
  }
  end_ = start_ + reached_.back() / speed_;
}

Path Path::standing(Point place, double heading, double start, double end) {
  Path path;
  path.corners_ = {place};
  path.reached_ = {0};
  path.start_ = start;
  path.end_ = end;
  path.heading_ = heading;
  return path;
}

Point Path::position(double travelled) const {
  std::size_t leg = 1;
  while (leg + 1 < corners_.size() && travelled > reached_[leg]) ++leg;
  const double length = reached_[leg] - reached_[leg - 1];
  return mix(corners_[leg - 1], corners_[leg], (travelled - reached_[leg - 1]) / length);
}

Stance Path::at(double seconds) const {
  if (speed_ == 0) return {corners_[0].x, corners_[0].y, heading_, 0};
  const double travelled = (seconds - start_) * speed_;
  // Looking from a little behind to a little ahead rounds the corners.
  const double reach = 0.3;
  const Point here = position(travelled);
  const Point ahead = position(travelled + reach) - position(travelled - reach);
  return {here.x, here.y, std::atan2(ahead.y, ahead.x), travelled};
}

}  // namespace peregrine::synth
