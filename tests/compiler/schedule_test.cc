// SPDX-License-Identifier: Apache-2.0
#include "compiler/schedule.h"

#include <random>

#include <gtest/gtest.h>

namespace peregrine::compiler {
namespace {

Operand strided(Shape shape, Shape strides) {
  Operand operand;
  operand.region = Region::kArena;
  operand.shape = std::move(shape);
  operand.strides = std::move(strides);
  return operand;
}

// A picture [2, 12, 4, 5] in NHWC.
const Shape kShape{2, 12, 4, 5}, kStrides{240, 1, 60, 12};

Box slice(std::int64_t first, std::int64_t channels) {
  return touched_box(kShape, kStrides, strided({2, channels, 4, 5}, kStrides), first);
}

TEST(TouchedBox, ChannelSlicesMeetOnlyWhereTheyShareChannels) {
  EXPECT_FALSE(slice(0, 4).meets(slice(4, 8)));
  EXPECT_TRUE(slice(0, 5).meets(slice(4, 8)));
  EXPECT_TRUE(slice(0, 12).meets(slice(7, 1)));
}

TEST(TouchedBox, MergedAxesReachOverThoseTheyMerge) {
  // Channels 2 to 5 of all 20 pixels, as a table.
  const Box table = touched_box(kShape, kStrides, strided({2, 20, 4}, {240, 12, 1}), 2);
  EXPECT_FALSE(table.meets(slice(6, 6)));
  EXPECT_TRUE(table.meets(slice(5, 1)));
}

TEST(TouchedBox, RowsOfATable) {
  const Shape shape{8400, 84}, strides{84, 1};
  const auto rows = [&](std::int64_t first, std::int64_t count) {
    return touched_box(shape, strides, strided({count, 84}, {84, 1}), first * 84);
  };
  EXPECT_FALSE(rows(0, 6400).meets(rows(6400, 1600)));
  EXPECT_TRUE(rows(0, 6401).meets(rows(6400, 1600)));
}

TEST(TouchedBox, WhatDoesNotFollowTheAxesIsTheWholeBuffer) {
  EXPECT_TRUE(touched_box(kShape, kStrides, strided({240}, {2}), 0).meets(slice(11, 1)));
  EXPECT_TRUE(touched_box(kShape, kStrides, strided({3}, {-1}), 2).meets(slice(11, 1)));
}

// Random graphs: whatever is asked for must follow from streams and waits.
TEST(AssignStreams, KeepsEveryDependency) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const int steps = 2 + static_cast<int>(random() % 40);
    Dependencies needs(static_cast<std::size_t>(steps));
    for (int i = 1; i < steps; ++i) {
      for (unsigned k = random() % 3; k > 0; --k) {
        needs[static_cast<std::size_t>(i)].push_back(
            static_cast<int>(random() % static_cast<unsigned>(i)));
      }
    }
    const int streams = 1 + static_cast<int>(random() % 5);
    const std::vector<StepOrder> order = assign_streams(needs, streams);
    const Precedence precedence(order);
    for (int i = 0; i < steps; ++i) {
      EXPECT_LT(order[static_cast<std::size_t>(i)].stream, streams);
      for (const int need : needs[static_cast<std::size_t>(i)]) {
        EXPECT_TRUE(precedence.before(need, i)) << "seed " << seed << ", " << need << " -> " << i;
      }
    }
  }
}

TEST(AssignStreams, BranchesPartAndAChainStaysTogether) {
  // 0 -> 1 -> 2 and 0 -> 3 -> 4, then 5 needs both.
  const std::vector<StepOrder> order = assign_streams({{}, {0}, {1}, {0}, {3}, {2, 4}}, 4);
  EXPECT_EQ(order[1].stream, order[0].stream);
  EXPECT_EQ(order[2].stream, order[0].stream);
  EXPECT_NE(order[3].stream, order[0].stream);
  EXPECT_EQ(order[4].stream, order[3].stream);
  EXPECT_EQ(order[3].waits, std::vector<int>{0});
  EXPECT_TRUE(order[4].waits.empty());
  EXPECT_EQ(order[5].waits.size(), 1U);
  const Precedence precedence(order);
  EXPECT_FALSE(precedence.before(1, 4));
  EXPECT_FALSE(precedence.before(4, 1));
}

}  // namespace
}  // namespace peregrine::compiler
