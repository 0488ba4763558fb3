// SPDX-License-Identifier: Apache-2.0
#include "track/kalman_filter.h"

#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace peregrine::track {
namespace {

void expect_close(double actual, double expected, const std::string& what) {
  EXPECT_NEAR(actual, expected, 1e-11 * std::max(1.0, std::abs(expected))) << what;
}

// The four small filters against NumPy's 8 x 8 one, over updates and predictions of 1 and 2 frames.
TEST(KalmanFilter, EqualsTheFullMatrixFilter) {
  std::ifstream file(PEREGRINE_SOURCE_DIR "/tests/track/data/kalman.txt");
  ASSERT_TRUE(file);
  std::string line;
  std::getline(file, line);
  KalmanFilter filter({100, 80, 160, 230});
  int count = 0;
  for (; std::getline(file, line); ++count) {
    std::istringstream fields(line);
    double steps = 0;
    Box box;
    fields >> steps >> box.x1 >> box.y1 >> box.x2 >> box.y2;
    filter.predict(steps);
    filter.update(box);
    double mean[8], spread[4][3];
    for (double& value : mean) fields >> value;
    for (auto& axis : spread) fields >> axis[0] >> axis[1] >> axis[2];
    ASSERT_TRUE(fields) << line;
    for (std::size_t i = 0; i < 4; ++i) {
      const KalmanFilter::Axis& axis = filter.axes()[i];
      const std::string what = "line " + std::to_string(count) + " axis " + std::to_string(i);
      expect_close(axis.value, mean[i], what);
      expect_close(axis.velocity, mean[4 + i], what);
      expect_close(axis.var_value, spread[i][0], what);
      expect_close(axis.covariance, spread[i][1], what);
      expect_close(axis.var_velocity, spread[i][2], what);
    }
  }
  EXPECT_EQ(count, 40);
}

KalmanFilter moving_right() {
  KalmanFilter filter({0, 0, 40, 100});
  for (int i = 1; i < 20; ++i) {
    filter.predict(1);
    filter.update({5.0f * i, 0, 40 + 5.0f * i, 100});
  }
  filter.freeze_size();
  return filter;
}

// Time may be cut anywhere: with the height at rest (it scales the noise) nothing changes.
TEST(KalmanFilter, OnePredictionEqualsManyOverTheSameTime) {
  for (const auto& parts : {std::vector<double>{1, 1, 1}, {0.5, 2.5}, {0.25, 0.25, 1.3, 1.2}}) {
    KalmanFilter whole = moving_right(), cut = moving_right();
    whole.predict(3);
    for (const double part : parts) cut.predict(part);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(cut.axes()[i].value, whole.axes()[i].value, 1e-9);
      EXPECT_NEAR(cut.axes()[i].var_value, whole.axes()[i].var_value, 1e-9);
      EXPECT_NEAR(cut.axes()[i].covariance, whole.axes()[i].covariance, 1e-9);
      EXPECT_NEAR(cut.axes()[i].var_velocity, whole.axes()[i].var_velocity, 1e-9);
    }
  }
}

TEST(KalmanFilter, ZeroTimeChangesNothing) {
  KalmanFilter filter = moving_right();
  const auto before = filter.axes();
  filter.predict(0);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(filter.axes()[i].value, before[i].value);
    EXPECT_EQ(filter.axes()[i].var_value, before[i].var_value);
  }
}

TEST(KalmanFilter, LearnsAConstantVelocity) {
  KalmanFilter filter = moving_right();
  EXPECT_NEAR(filter.axes()[KalmanFilter::kCx].velocity, 5, 0.1);
  filter.predict(4);
  EXPECT_NEAR(filter.box().x1, 95 + 20, 1);
}

TEST(KalmanFilter, AnEstimateThatShrankAwayIsEmpty) {
  KalmanFilter filter({0, 0, 100, 100});
  for (int i = 1; i <= 8; ++i) {
    filter.predict(1);
    filter.update({0, 0, 100, 100.0f - 10 * i});
  }
  filter.predict(100);
  EXPECT_EQ(filter.box(), Box{});
}

}  // namespace
}  // namespace peregrine::track
