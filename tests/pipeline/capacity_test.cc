// SPDX-License-Identifier: Apache-2.0
#include "pipeline/capacity.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "core/gpu_monitor.h"

namespace peregrine::pipeline {
namespace {

// Searches for a machine that serves `capacity` streams; no number may be asked twice.
int search(int first, int most, int capacity, std::size_t* trials = nullptr) {
  std::set<int> asked;
  const int knee = find_knee(first, most, [&](int streams) {
    EXPECT_GE(streams, 1);
    EXPECT_LE(streams, most);
    EXPECT_TRUE(asked.insert(streams).second) << streams;
    return streams <= capacity;
  });
  if (trials) *trials = asked.size();
  return knee;
}

TEST(FindKnee, FindsEveryCapacityToOneIn32) {
  for (const int first : {1, 3, 64, 1000}) {
    for (int capacity = 0; capacity <= 300; ++capacity) {
      const int knee = search(first, 1024, capacity);
      EXPECT_LE(knee, capacity);
      EXPECT_LT(capacity - knee, std::max(1, knee / 32)) << first << ' ' << capacity;
    }
  }
}

TEST(FindKnee, StopsAtTheMost) {
  EXPECT_EQ(search(1, 100, 5000), 100);
  EXPECT_EQ(search(100, 100, 5000), 100);
  EXPECT_EQ(search(500, 100, 5000), 100);
  EXPECT_EQ(search(1, 1, 0), 0);
  EXPECT_EQ(search(7, 20, 19), 19);
}

TEST(FindKnee, NeedsFewTrials) {
  std::size_t trials = 0;
  EXPECT_NEAR(search(64, 1024, 150, &trials), 150, 4);
  EXPECT_LE(trials, 8u);
}

TEST(Load, HoldsWithinTheBoundAndWithoutADrop) {
  Load load;
  EXPECT_FALSE(load.holds(1));  // nothing was answered
  for (int i = 0; i < 96; ++i) load.latency.add(10'000'000);
  for (int i = 0; i < 4; ++i) load.latency.add(900'000'000);
  EXPECT_TRUE(load.holds(0.011));
  EXPECT_FALSE(load.holds(0.009));
  Load dropping = load;
  dropping.dropped = 1;
  EXPECT_FALSE(dropping.holds(0.011));
  Load failed = load;
  failed.error = Error(ErrorCode::kOutOfMemory, "full");
  EXPECT_FALSE(failed.holds(0.011));
}

TEST(FindLimit, NamesTheFullestPart) {
  Load load;
  load.shares = {.decoder = 0.97, .sm = 0.6, .memory = 0.3, .bus = 0.01, .cpu = 0.2};
  EXPECT_EQ(find_limit(load).name, "NVDEC");
  EXPECT_TRUE(find_limit(load).full());
  load.shares.bus = 0.99;
  EXPECT_EQ(find_limit(load).name, "PCIe");
  load.shares = {.cpu = 0.5};  // without a GPU
  EXPECT_EQ(find_limit(load).name, "CPU");
  EXPECT_FALSE(find_limit(load).full());
  load.error = Error(ErrorCode::kOutOfMemory, "full");
  EXPECT_EQ(find_limit(load).name, "memory");
  EXPECT_TRUE(find_limit(load).full());
}

TEST(PcieRate, IsThatOfTheStandard) {
  EXPECT_NEAR(pcie_bytes_per_second(5, 16), 63e9, 0.1e9);
  EXPECT_NEAR(pcie_bytes_per_second(1, 1), 0.25e9, 1);
  EXPECT_EQ(pcie_bytes_per_second(0, 16), -1);
  EXPECT_EQ(pcie_bytes_per_second(99, 16), -1);
}

}  // namespace
}  // namespace peregrine::pipeline
