// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "peregrine/detections.h"

namespace peregrine::track {

/// The constant-velocity motion model of SORT, DeepSORT and ByteTrack: state (cx, cy, a, h) and its
/// velocities, where a = width / height; every deviation is proportional to the box's height.
///
/// Transition, noises and first covariance couple a coordinate only with its own velocity, so the
/// 8 x 8 filter falls apart exactly into four filters of two states: no matrix is ever inverted.
/// Time is counted in steps of 1 / frame rate; steps need not be whole.
class KalmanFilter {
 public:
  /// Mean and covariance of one coordinate and its velocity (per step).
  struct Axis {
    double value = 0, velocity = 0;
    double var_value = 0, covariance = 0, var_velocity = 0;
  };
  enum AxisIndex { kCx, kCy, kAspect, kHeight };

  /// Starts at rest on `box`, whose width and height must be positive.
  explicit KalmanFilter(const Box& box);
  /// Moves on by `steps` >= 0. One prediction over n steps is n predictions over one (up to the
  /// change of height in between, which scales the noise), so a dropped frame costs nothing.
  void predict(double steps);
  /// Takes in a measurement; `box` must have positive width and height.
  void update(const Box& box);
  /// How an object moves and how large it is, whatever its place.
  struct Course {
    double velocity_x = 0, velocity_y = 0, aspect = 0, height = 0;
  };
  Course course() const;
  /// Goes on from the same place on another course; what is known of the place stays as it is.
  void take_course(const Course& course);
  /// A lost object keeps its size: nothing corrects a height that drifts.
  void freeze_height() { axes_[kHeight].velocity = 0; }

  /// Where the object is believed to be. Empty (x2 <= x1) when the estimate has shrunk away.
  Box box() const;
  const std::array<Axis, 4>& axes() const { return axes_; }

 private:
  std::array<Axis, 4> axes_;
};

}  // namespace peregrine::track
