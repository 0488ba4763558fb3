// SPDX-License-Identifier: Apache-2.0
#include "compiler/memory_planner.h"

#include <random>

#include <gtest/gtest.h>

namespace peregrine::compiler {
namespace {

void expect_sound(const std::vector<Buffer>& buffers, const ArenaPlan& plan) {
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % kArenaAlignment, 0U);
    EXPECT_LE(plan.offsets[i] + buffers[i].bytes, plan.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const bool together =
          buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      const bool apart = plan.offsets[i] + buffers[i].bytes <= plan.offsets[j] ||
                         plan.offsets[j] + buffers[j].bytes <= plan.offsets[i];
      EXPECT_TRUE(!together || apart) << i << " overlaps " << j;
    }
  }
  EXPECT_GE(plan.bytes, plan.peak);
}

TEST(ArenaPlan, AChainNeedsTwoBuffers) {
  std::vector<Buffer> chain;
  for (int i = 0; i < 10; ++i) chain.push_back({1024, i, i + 1});
  const ArenaPlan plan = plan_arena(chain);
  expect_sound(chain, plan);
  EXPECT_EQ(plan.bytes, 2048U);
}

TEST(ArenaPlan, FillsTheGapThatFitsBest) {
  const std::vector<Buffer> buffers{
      {4096, 0, 9}, {2048, 0, 3}, {4096, 0, 9}, {1000, 4, 9}, {1024, 4, 9}};
  const ArenaPlan plan = plan_arena(buffers);
  expect_sound(buffers, plan);
  EXPECT_EQ(plan.bytes, plan.peak);
}

TEST(ArenaPlan, RandomLivesStayNearTheirPeak) {
  double sum = 0;
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    std::vector<Buffer> buffers;
    for (int i = 0; i < 120; ++i) {
      buffers.push_back(
          {256 + random() % 100000, i, i + 1 + static_cast<int>(random() % (i % 7 == 0 ? 40 : 4))});
    }
    const ArenaPlan plan = plan_arena(buffers);
    expect_sound(buffers, plan);
    sum += static_cast<double>(plan.bytes) / static_cast<double>(plan.peak);
  }
  EXPECT_LT(sum / 30, 1.10);
}

TEST(ArenaPlan, NothingNeedsNothing) { EXPECT_EQ(plan_arena({}).bytes, 0U); }

}  // namespace
}  // namespace peregrine::compiler
