// SPDX-License-Identifier: Apache-2.0
#include "video/timeline.h"

#include <gtest/gtest.h>

namespace peregrine::video {
namespace {

constexpr AVRational kMilliseconds{1, 1000};
constexpr std::int64_t kNone = AV_NOPTS_VALUE;

std::vector<std::int64_t> times(Timeline timeline, const std::vector<std::int64_t>& stated) {
  std::vector<std::int64_t> result;
  for (const std::int64_t each : stated) result.push_back(timeline.next(each));
  return result;
}

using Times = std::vector<std::int64_t>;

TEST(Timeline, LeavesRisingTimesAlone) {
  const Timeline timeline(kMilliseconds, {25, 1});
  EXPECT_EQ(times(timeline, {-40, 0, 1, 100000}), (Times{-40, 0, 1, 100000}));
}

TEST(Timeline, CountsFramesWhereTimesAreMissingWithoutDrift) {
  EXPECT_EQ(times(Timeline(kMilliseconds, {30, 1}), {kNone, kNone, kNone, kNone, kNone}),
            (Times{0, 33, 67, 100, 133}));
  EXPECT_EQ(times(Timeline(kMilliseconds, {0, 1}), {1000, kNone, kNone, 1200, kNone}),
            (Times{1000, 1040, 1080, 1200, 1240}));
}

TEST(Timeline, NudgesTimesThatStandStillOrSlip) {
  EXPECT_EQ(times(Timeline(kMilliseconds, {25, 1}), {0, 40, 40, 20, 80}),
            (Times{0, 40, 41, 42, 80}));
}

TEST(Timeline, GoesOnAfterAStepBack) {
  EXPECT_EQ(times(Timeline(kMilliseconds, {25, 1}), {5000, 5040, 0, 50, 110}),
            (Times{5000, 5040, 5080, 5130, 5190}));
}

TEST(Timeline, ResumesWhereItIsTold) {
  Timeline timeline(kMilliseconds, {25, 1});
  timeline.next(5000);
  timeline.resume(70, 9000);
  EXPECT_EQ(timeline.next(70), 9000);
  EXPECT_EQ(timeline.next(110), 9040);
  timeline.resume(kNone, 20000);
  EXPECT_EQ(timeline.next(kNone), 20000);
  EXPECT_EQ(timeline.next(kNone), 20040);
}

TEST(Selection, IsHalfOpenAndCountsFromTheOrigin) {
  SourceOptions options;
  options.start_seconds = 1;
  options.end_seconds = 2;
  options.every = 2;
  options.max_frames = 3;
  Selection selection(options, kMilliseconds, 500);
  using enum Selection::Verdict;
  EXPECT_EQ(selection.judge(1499), kSkip);
  EXPECT_EQ(selection.judge(1500), kTake);
  EXPECT_EQ(selection.index(), 0);
  EXPECT_EQ(selection.judge(1600), kSkip);
  EXPECT_EQ(selection.judge(1700), kTake);
  EXPECT_EQ(selection.index(), 2);
  EXPECT_FALSE(selection.is_complete());
  EXPECT_EQ(selection.judge(2500), kEnd);
  EXPECT_TRUE(selection.is_complete());
}

TEST(Selection, TakesAFrameAtTheStartDespiteRounding) {
  SourceOptions options;
  options.start_seconds = 1.0 / 3;
  // A third of a second is 5120 units of 1/15360 s, but no whole number of microseconds.
  EXPECT_EQ(Selection(options, {1, 15360}, 0).judge(5120), Selection::Verdict::kTake);
  EXPECT_EQ(Selection(options, {1, 15360}, 0).judge(5119), Selection::Verdict::kSkip);
}

}  // namespace
}  // namespace peregrine::video
