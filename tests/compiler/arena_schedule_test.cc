// SPDX-License-Identifier: Apache-2.0
#include "compiler/arena_schedule.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace peregrine::compiler {
namespace {

int streams_of(const ArenaSchedule& schedule) {
  int streams = 1;
  for (const StepOrder& each : schedule.order) streams = std::max(streams, each.stream + 1);
  return streams;
}

void expect_sound(const Dependencies& needs, const std::vector<BufferUse>& uses,
                  const ArenaSchedule& schedule, std::size_t fixed_bytes) {
  const Precedence precedence(schedule.order);
  for (std::size_t i = 0; i < needs.size(); ++i) {
    for (const int need : needs[i]) EXPECT_TRUE(precedence.before(need, static_cast<int>(i)));
    for (const int wait : schedule.order[i].waits) EXPECT_LT(wait, static_cast<int>(i));
  }
  const auto all_before = [&](const BufferUse& a, const BufferUse& b) {
    for (const int first : a.steps)
      for (const int second : b.steps) {
        if (first == second || !precedence.before(first, second)) return false;
      }
    return true;
  };
  for (std::size_t i = 0; i < uses.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool apart = schedule.plan.offsets[i] + uses[i].bytes <= schedule.plan.offsets[j] ||
                         schedule.plan.offsets[j] + uses[j].bytes <= schedule.plan.offsets[i];
      EXPECT_TRUE(apart || all_before(uses[i], uses[j]) || all_before(uses[j], uses[i]))
          << i << " and " << j << " share memory while both are in use";
    }
  }
  if (streams_of(schedule) == 1) return;
  const auto fixed = static_cast<double>(fixed_bytes);
  EXPECT_LE(static_cast<double>(schedule.plan.bytes) + fixed,
            kMostMemory * (static_cast<double>(schedule.plan.peak) + fixed));
}

// 0 feeds `branches` chains of three steps, whose results the last step joins. Each step makes a
// buffer that the next one reads.
struct Fan {
  Dependencies needs{{}};
  std::vector<BufferUse> uses;
};
Fan fan(int branches, std::size_t bytes, std::size_t result) {
  Fan made;
  made.uses.push_back({bytes, {0}});
  std::vector<int> ends;
  int step = 1;
  for (int b = 0; b < branches; ++b) {
    for (int k = 0; k < 3; ++k, ++step) {
      made.needs.push_back({k == 0 ? 0 : step - 1});
      if (k == 0) made.uses[0].steps.push_back(step);
      made.uses.push_back({k == 2 ? result : bytes, {step}});
      if (k < 2) made.uses.back().steps.push_back(step + 1);
    }
    ends.push_back(step - 1);
    made.uses.back().steps.push_back(branches * 3 + 1);
  }
  made.needs.push_back(ends);
  return made;
}

TEST(ArenaSchedule, SmallBranchesRunSideBySide) {
  const Fan made = fan(3, 256, 256);
  const ArenaSchedule schedule = schedule_in_arena(made.needs, made.uses, 4, 1 << 20);
  expect_sound(made.needs, made.uses, schedule, 1 << 20);
  EXPECT_EQ(streams_of(schedule), 3);
  const Precedence precedence(schedule.order);
  EXPECT_FALSE(precedence.before(1, 4)) << "nothing waits for memory";
}

TEST(ArenaSchedule, BranchesWaitForMemoryBeforeTheyGiveUpTheirStreams) {
  const Fan made = fan(3, 1 << 20, 1 << 10);
  const ArenaSchedule schedule = schedule_in_arena(made.needs, made.uses, 4, 1 << 20);
  expect_sound(made.needs, made.uses, schedule, 1 << 20);
  EXPECT_GT(streams_of(schedule), 1);
}

TEST(ArenaSchedule, RandomProgramsStaySound) {
  int parallel = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const int steps = 4 + static_cast<int>(random() % 40);
    Dependencies needs(static_cast<std::size_t>(steps));
    std::vector<BufferUse> uses;
    for (int i = 0; i < steps; ++i) uses.push_back({256 + random() % 100'000, {i}});
    for (int i = 1; i < steps; ++i) {
      for (unsigned k = 1 + random() % 2; k > 0; --k) {
        const int from = std::max(0, i - 1 - static_cast<int>(random() % 6));
        needs[static_cast<std::size_t>(i)].push_back(from);
        auto& users = uses[static_cast<std::size_t>(from)].steps;
        if (users.back() != i) users.push_back(i);
      }
    }
    const std::size_t fixed = random() % 400'000;
    const ArenaSchedule schedule = schedule_in_arena(needs, uses, 4, fixed);
    expect_sound(needs, uses, schedule, fixed);
    parallel += streams_of(schedule) > 1 ? 1 : 0;
  }
  EXPECT_GT(parallel, 30);
}

}  // namespace
}  // namespace peregrine::compiler
