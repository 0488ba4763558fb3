// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>

#include "peregrine/detections.h"

namespace peregrine::track {

/// What the state says of a box's width.
enum class BoxState {
  /// (cx, cy, width / height, h) of SORT, DeepSORT and ByteTrack; every deviation is proportional
  /// to
  /// the box's height. A box that comes into the picture from the side widens in a few frames, and
  /// this state is slow to follow.
  kAspect,
  /// (cx, cy, w, h) of BoT-SORT (Aharon et al., 2022); deviations are proportional to the side
  /// along
  /// their axis. Measurements are trusted half as much as there: boxes of what can be seen breathe
  /// with each step of who walks.
  kSize,
};

/// A constant-velocity motion model: a state of four coordinates and their velocities.
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
  enum AxisIndex { kCx, kCy, kShape, kHeight };  ///< kShape: width / height, or width

  /// Starts at rest on `box`, whose width and height must be positive.
  explicit KalmanFilter(const Box& box, BoxState state = BoxState::kAspect);
  /// Moves on by `steps` >= 0. One prediction over n steps is n predictions over one (up to the
  /// change of height in between, which scales the noise), so a dropped frame costs nothing.
  void predict(double steps);
  /// Takes in a measurement; `box` must have positive width and height.
  void update(const Box& box);
  /// How an object moves (per step) and how large it is, whatever its place.
  struct Course {
    double velocity_x = 0, velocity_y = 0, width = 0, height = 0;
  };
  Course course() const;
  /// Goes on from the same place on another course; what is known of the place stays as it is.
  void take_course(const Course& course);
  void shift(double x, double y);
  /// A lost object keeps its size: nothing corrects one that drifts.
  void freeze_size();

  /// Where the object is believed to be. Empty (x2 <= x1) when the estimate has shrunk away.
  Box box() const;
  const std::array<Axis, 4>& axes() const { return axes_; }

 private:
  // Variances a step adds to a value and to its velocity.
  struct Noise {
    double value, velocity;
  };
  std::array<double, 4> measurement_of(const Box& box) const;
  Noise process_noise(std::size_t axis) const;
  double measurement_deviation(std::size_t axis) const;
  double width() const;
  /// The length that deviations of an axis are proportional to.
  double scale(std::size_t axis) const;

  BoxState state_;
  std::array<Axis, 4> axes_;
};

}  // namespace peregrine::track
