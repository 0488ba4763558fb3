// SPDX-License-Identifier: Apache-2.0
#include "track/kalman_filter.h"

#include <cstddef>

namespace peregrine::track {
namespace {

// Deviations as fractions of the height (Wojke et al., "Simple Online and Realtime Tracking with a
// Deep Association Metric", and ByteTrack, which took them over); the aspect ratio has no unit of
// length and its own constants.
constexpr double kPositionWeight = 1.0 / 20;
constexpr double kVelocityWeight = 1.0 / 160;
constexpr double kAspectDeviation = 1e-2;
constexpr double kAspectVelocityDeviation = 1e-5;
constexpr double kAspectMeasurementDeviation = 1e-1;

constexpr double kSizeMeasurementWeight = 1.0 / 10;

constexpr double square(double x) { return x * x; }

}  // namespace

std::array<double, 4> KalmanFilter::measurement_of(const Box& box) const {
  const double width = static_cast<double>(box.x2) - box.x1;
  const double height = static_cast<double>(box.y2) - box.y1;
  const double shape = state_ == BoxState::kSize ? width : width / height;
  return {box.x1 + width / 2, box.y1 + height / 2, shape, height};
}

double KalmanFilter::scale(std::size_t axis) const {
  const bool horizontal = axis == kCx || axis == kShape;
  return axes_[state_ == BoxState::kSize && horizontal ? kShape : kHeight].value;
}

KalmanFilter::Noise KalmanFilter::process_noise(std::size_t axis) const {
  if (state_ == BoxState::kAspect && axis == kShape) {
    return {square(kAspectDeviation), square(kAspectVelocityDeviation)};
  }
  return {square(kPositionWeight * scale(axis)), square(kVelocityWeight * scale(axis))};
}

double KalmanFilter::measurement_deviation(std::size_t axis) const {
  if (state_ == BoxState::kSize) return kSizeMeasurementWeight * scale(axis);
  return axis == kShape ? kAspectMeasurementDeviation : kPositionWeight * scale(axis);
}

KalmanFilter::KalmanFilter(const Box& box, BoxState state) : state_(state) {
  const std::array<double, 4> measured = measurement_of(box);
  for (std::size_t i = 0; i < axes_.size(); ++i) axes_[i].value = measured[i];
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    const Noise noise = process_noise(i);
    const bool aspect = state_ == BoxState::kAspect && i == kShape;
    axes_[i].var_value = (aspect ? 1 : square(2)) * noise.value;
    axes_[i].var_velocity = (aspect ? 1 : square(10)) * noise.velocity;
  }
}

void KalmanFilter::predict(double steps) {
  // n unit steps add sum F^i Q F^i', i = 0 .. n-1, with F = [1 1; 0 1] and Q = diag(value,
  // velocity). The sums below are that polynomial in n; the rule Q(a + b) = F^b Q(a) F^b' + Q(b)
  // then holds for fractions too, so time may be cut into frames in any way.
  const double sum_i = steps * (steps - 1) / 2;
  const double sum_i2 = sum_i * (2 * steps - 1) / 3;
  std::array<Noise, 4> noises;
  for (std::size_t i = 0; i < axes_.size(); ++i) noises[i] = process_noise(i);
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    Axis& axis = axes_[i];
    const Noise& noise = noises[i];
    axis.value += steps * axis.velocity;
    axis.var_value += steps * (2 * axis.covariance + steps * axis.var_velocity) +
                      steps * noise.value + sum_i2 * noise.velocity;
    axis.covariance += steps * axis.var_velocity + sum_i * noise.velocity;
    axis.var_velocity += steps * noise.velocity;
  }
}

void KalmanFilter::update(const Box& box) {
  const std::array<double, 4> measured = measurement_of(box);
  std::array<double, 4> deviations;
  for (std::size_t i = 0; i < axes_.size(); ++i) deviations[i] = measurement_deviation(i);
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    Axis& axis = axes_[i];
    const double innovation_variance = axis.var_value + square(deviations[i]);
    const double gain = axis.var_value / innovation_variance;
    const double velocity_gain = axis.covariance / innovation_variance;
    const double innovation = measured[i] - axis.value;
    axis.value += gain * innovation;
    axis.velocity += velocity_gain * innovation;
    axis.var_velocity -= velocity_gain * axis.covariance;
    axis.covariance -= gain * axis.covariance;
    axis.var_value -= gain * axis.var_value;
  }
}

void KalmanFilter::freeze_size() {
  axes_[kHeight].velocity = 0;
  if (state_ == BoxState::kSize) axes_[kShape].velocity = 0;
}

double KalmanFilter::width() const {
  return axes_[kShape].value * (state_ == BoxState::kSize ? 1 : axes_[kHeight].value);
}

KalmanFilter::Course KalmanFilter::course() const {
  return {axes_[kCx].velocity, axes_[kCy].velocity, width(), axes_[kHeight].value};
}

void KalmanFilter::take_course(const Course& course) {
  axes_[kCx].velocity = course.velocity_x;
  axes_[kCy].velocity = course.velocity_y;
  axes_[kShape].value = state_ == BoxState::kSize ? course.width : course.width / course.height;
  axes_[kHeight].value = course.height;
}

void KalmanFilter::shift(double x, double y) {
  axes_[kCx].value += x;
  axes_[kCy].value += y;
}

Box KalmanFilter::box() const {
  const double w = width(), h = axes_[kHeight].value;
  if (!(h > 0) || !(w > 0)) return {};
  const double cx = axes_[kCx].value, cy = axes_[kCy].value;
  return {static_cast<float>(cx - w / 2), static_cast<float>(cy - h / 2),
          static_cast<float>(cx + w / 2), static_cast<float>(cy + h / 2)};
}

}  // namespace peregrine::track
