// SPDX-License-Identifier: Apache-2.0
#include "track/assignment.h"

#include <algorithm>
#include <limits>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace peregrine::track {
namespace {

// Least sum of (cost - limit) over all partial matchings.
double brute_force(std::span<const float> costs, int rows, int columns, float limit, int row = 0,
                   unsigned taken = 0) {
  if (row == rows) return 0;
  double best = brute_force(costs, rows, columns, limit, row + 1, taken);
  for (int column = 0; column < columns; ++column) {
    const float cost = costs[static_cast<std::size_t>(row) * columns + column];
    if ((taken >> column) & 1u || !(cost < limit)) continue;
    best = std::min(best,
                    static_cast<double>(cost) - limit +
                        brute_force(costs, rows, columns, limit, row + 1, taken | (1u << column)));
  }
  return best;
}

// Checks that `answer` is a matching within the limit and returns its sum.
double value_of(std::span<const int> answer, std::span<const float> costs, int columns,
                float limit) {
  std::set<int> used;
  double sum = 0;
  for (std::size_t row = 0; row < answer.size(); ++row) {
    if (answer[row] == kUnassigned) continue;
    EXPECT_TRUE(used.insert(answer[row]).second) << "column twice";
    const float cost = costs[row * columns + answer[row]];
    EXPECT_LT(cost, limit);
    sum += static_cast<double>(cost) - limit;
  }
  return sum;
}

TEST(Assignment, EqualsBruteForce) {
  std::mt19937 random(42);
  Assignment assignment;
  for (int round = 0; round < 3000; ++round) {
    const int rows = static_cast<int>(random() % 7), columns = static_cast<int>(random() % 7);
    // Coarse costs make many ties; far ones make sparse problems.
    const int grain = round % 2 == 0 ? 1000 : 4;
    std::vector<float> costs(static_cast<std::size_t>(rows) * columns);
    for (float& cost : costs) {
      cost = static_cast<float>(random() % (grain + 1)) / static_cast<float>(grain);
      if (round % 3 == 0 && random() % 2) cost = 1;
    }
    const float limit = round % 5 == 0 ? 2.0f : 0.75f;
    const auto answer = assignment.solve(costs, rows, columns, limit);
    ASSERT_EQ(answer.size(), static_cast<std::size_t>(rows));
    ASSERT_NEAR(value_of(answer, costs, columns, limit), brute_force(costs, rows, columns, limit),
                1e-9)
        << rows << " x " << columns << " round " << round;
  }
}

TEST(Assignment, NeedsAnAugmentingPath) {
  // Greedy by cost would take (0, 0) and leave row 1 alone.
  const float costs[] = {0.1f, 0.2f,  //
                         0.2f, 0.9f};
  Assignment assignment;
  const auto answer = assignment.solve(costs, 2, 2, 0.8f);
  EXPECT_EQ(answer[0], 1);
  EXPECT_EQ(answer[1], 0);
}

TEST(Assignment, OnePairMayBeWorthMoreThanTwo) {
  // 0.1 - 0.5 = -0.4 beats (0.45 - 0.5) + (0.45 - 0.5) = -0.1.
  const float costs[] = {0.1f, 0.45f,  //
                         0.45f, 0.5f};
  Assignment assignment;
  const auto answer = assignment.solve(costs, 2, 2, 0.5f);
  EXPECT_EQ(answer[0], 0);
  EXPECT_EQ(answer[1], kUnassigned) << "a pair at the limit is not made";
}

TEST(Assignment, EmptySidesAndNaN) {
  Assignment assignment;
  EXPECT_TRUE(assignment.solve({}, 0, 3, 1).empty());
  EXPECT_EQ(assignment.solve({}, 2, 0, 1)[1], kUnassigned);
  const float nan[] = {std::numeric_limits<float>::quiet_NaN(), 0.5f};
  EXPECT_EQ(assignment.solve(nan, 1, 2, 1)[0], 1);
  EXPECT_EQ(assignment.solve(std::span(nan).first(1), 1, 1, 1)[0], kUnassigned);
}

}  // namespace
}  // namespace peregrine::track
