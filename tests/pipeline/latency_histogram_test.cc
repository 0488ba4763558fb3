// SPDX-License-Identifier: Apache-2.0
#include "pipeline/latency_histogram.h"

#include <gtest/gtest.h>

namespace peregrine::pipeline {
namespace {

TEST(LatencyHistogram, PercentilesAreWithinThreePercent) {
  LatencyHistogram histogram;
  for (std::int64_t i = 1; i <= 1000; ++i) histogram.add(i * 10'000);  // 10 us to 10 ms
  EXPECT_EQ(histogram.count(), 1000u);
  EXPECT_NEAR(histogram.percentile_seconds(0.5), 5.0e-3, 5.0e-3 * 0.032);
  EXPECT_NEAR(histogram.percentile_seconds(0.95), 9.5e-3, 9.5e-3 * 0.032);
  EXPECT_NEAR(histogram.mean_seconds(), 5.005e-3, 1e-9);
}

TEST(LatencyHistogram, ExtremesStayInRange) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile_seconds(0.5), 0);
  histogram.add(-5);
  histogram.add(INT64_MAX);
  EXPECT_EQ(histogram.percentile_seconds(0.25), 0);
  EXPECT_NEAR(histogram.percentile_seconds(1.0), 4398, 4398 * 0.032);
}

TEST(LatencyHistogram, SubtractLeavesWhatCameLater) {
  LatencyHistogram all;
  all.add(1000);
  const LatencyHistogram earlier = all;
  all.add(5'000'000);
  all.subtract(earlier);
  EXPECT_EQ(all.count(), 1u);
  EXPECT_NEAR(all.percentile_seconds(0), 5e-3, 5e-3 * 0.032);
  EXPECT_DOUBLE_EQ(all.total_seconds(), 5e-3);
}

TEST(LatencyHistogram, MergeAddsUp) {
  LatencyHistogram a, b;
  a.add(1000);
  b.add(3000);
  a.merge(b);
  EXPECT_EQ(a.count(), 2u);
  EXPECT_DOUBLE_EQ(a.total_seconds(), 4e-6);
}

}  // namespace
}  // namespace peregrine::pipeline
