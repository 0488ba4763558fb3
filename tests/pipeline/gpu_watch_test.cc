// SPDX-License-Identifier: Apache-2.0
#include "pipeline/gpu_watch.h"

#include <random>

#include <gtest/gtest.h>

namespace peregrine::pipeline {
namespace {

std::vector<double> seconds(std::size_t count) {
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i) + 11);
  return values;
}

TEST(MemoryTrend, AStraightRiseIsFound) {
  std::vector<double> bytes;
  for (const double at : seconds(100)) bytes.push_back(5e9 + 2e6 * at);
  const MemoryTrend trend = memory_trend(seconds(100), bytes);
  EXPECT_NEAR(trend.bytes_per_second, 2e6, 1);
  EXPECT_NEAR(trend.fit, 1, 1e-9);
}

TEST(MemoryTrend, ARiseUnderNoiseIsStillALine) {
  std::mt19937 random(7);
  std::vector<double> bytes;
  for (const double at : seconds(300))
    bytes.push_back(5e9 + 2e6 * at + double(random() % 40'000'000));
  const MemoryTrend trend = memory_trend(seconds(300), bytes);
  EXPECT_NEAR(trend.bytes_per_second, 2e6, 1e5);
  EXPECT_GT(trend.fit, 0.9);
}

TEST(MemoryTrend, StreamsThatComeAndGoAreNone) {
  std::vector<double> bytes;
  for (std::size_t i = 0; i < 120; ++i) bytes.push_back(i / 10 % 2 == 0 ? 5e9 : 6e9);
  EXPECT_LT(memory_trend(seconds(120), bytes).fit, 0.1);
}

TEST(MemoryTrend, AFallIsNegative) {
  std::vector<double> bytes;
  for (const double at : seconds(50)) bytes.push_back(5e9 - 1e6 * at);
  EXPECT_NEAR(memory_trend(seconds(50), bytes).bytes_per_second, -1e6, 1);
}

TEST(MemoryTrend, TooLittleToTellIsZero) {
  EXPECT_EQ(memory_trend({}, {}).fit, 0);
  EXPECT_EQ(memory_trend({1, 2}, {1e9, 2e9}).bytes_per_second, 0);
  EXPECT_EQ(memory_trend({1, 2, 3}, {1e9, 2e9}).bytes_per_second, 0) << "lengths differ";
  EXPECT_EQ(memory_trend({1, 2, 3}, {1e9, 1e9, 1e9}).fit, 0) << "flat";
  EXPECT_EQ(memory_trend({2, 2, 2}, {1e9, 2e9, 3e9}).bytes_per_second, 0) << "one moment";
}

}  // namespace
}  // namespace peregrine::pipeline
