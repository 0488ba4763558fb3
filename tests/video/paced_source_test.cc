// SPDX-License-Identifier: Apache-2.0
#include "video/paced_source.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "core/stopwatch.h"
#include "video/clips.h"

namespace peregrine::testing {
namespace {

using namespace std::chrono_literals;
using video::EndOfStream;
using video::SourceEvent;

constexpr std::int64_t kMillisecond = 1000000;

/// Frames at the times of a list, in milliseconds; notes when it was asked for each.
class TimedSource final : public video::Source {
 public:
  TimedSource(std::vector<std::int64_t> times, Rational rate, std::vector<std::int64_t>& asked)
      : times_(std::move(times)), asked_(asked) {
    info_.frame_rate = rate;
    info_.time_base = {1, 1000};
  }
  const video::SourceInfo& info() const override { return info_; }
  SourceEvent read() override {
    if (interrupted_ || next_ == times_.size()) return EndOfStream{};
    asked_.push_back(steady_nanoseconds());
    if (next_ == slow_at_) std::this_thread::sleep_for(120ms);
    Frame frame;
    frame.info.time_base = info_.time_base;
    frame.info.pts = times_[next_++];
    return frame;
  }
  void interrupt() noexcept override { interrupted_ = true; }
  std::int64_t corrupt_packets() const override { return 7; }
  std::size_t slow_at_ = 1000;

 private:
  video::SourceInfo info_;
  std::vector<std::int64_t> times_;
  std::vector<std::int64_t>& asked_;
  std::size_t next_ = 0;
  std::atomic<bool> interrupted_{false};
};

struct Delivered {
  std::int64_t at, received;
};

std::vector<Delivered> play(video::Source& source) {
  std::vector<Delivered> all;
  while (true) {
    const SourceEvent event = source.read();
    const auto* frame = std::get_if<Frame>(&event);
    if (!frame) return all;
    all.push_back({steady_nanoseconds(), frame->received});
  }
}

TEST(PacedSource, ReadsEachFrameWhenItIsDueAndNotBefore) {
  std::vector<std::int64_t> asked;
  const auto paced = video::make_paced_source(std::make_unique<TimedSource>(
      std::vector<std::int64_t>{5000, 5040, 5080, 5120}, Rational{25, 1}, asked));
  EXPECT_TRUE(paced->info().live);
  EXPECT_EQ(paced->corrupt_packets(), 7);
  const auto frames = play(*paced);
  ASSERT_EQ(frames.size(), 4U);
  const std::int64_t start = frames[0].received;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(frames[i].received - start, static_cast<std::int64_t>(i) * 40 * kMillisecond);
    EXPECT_GE(asked[i], frames[i].received);
    EXPECT_GE(frames[i].at, frames[i].received);
  }
}

TEST(PacedSource, HoldsAFrameThatCameBeforeItsTime) {
  std::vector<std::int64_t> asked;
  const auto paced = video::make_paced_source(
      std::make_unique<TimedSource>(std::vector<std::int64_t>{0, 40, 200}, Rational{25, 1}, asked));
  const auto frames = play(*paced);
  ASSERT_EQ(frames.size(), 3U);
  const std::int64_t start = frames[0].received;
  EXPECT_GE(asked[2] - start, 80 * kMillisecond);  // one nominal frame after the second
  EXPECT_EQ(frames[2].received - start, 200 * kMillisecond);
  EXPECT_GE(frames[2].at - start, 200 * kMillisecond);
}

TEST(PacedSource, CountsFromTheDueTimeOfALateFrameAndKeepsItsClock) {
  std::vector<std::int64_t> asked;
  auto source = std::make_unique<TimedSource>(std::vector<std::int64_t>{0, 40, 80, 120},
                                              Rational{25, 1}, asked);
  source->slow_at_ = 1;
  const auto paced = video::make_paced_source(std::move(source));
  const auto frames = play(*paced);
  ASSERT_EQ(frames.size(), 4U);
  const std::int64_t start = frames[0].received;
  EXPECT_EQ(frames[1].received - start, 40 * kMillisecond);
  EXPECT_GE(frames[1].at - frames[1].received, 120 * kMillisecond);
  EXPECT_EQ(frames[2].received - start, 80 * kMillisecond);
  EXPECT_EQ(frames[3].received - start, 120 * kMillisecond);
}

TEST(PacedSource, WithoutARateTheTimesDecide) {
  std::vector<std::int64_t> asked;
  const auto paced = video::make_paced_source(
      std::make_unique<TimedSource>(std::vector<std::int64_t>{0, 50, 90}, Rational{0, 1}, asked));
  const auto frames = play(*paced);
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[2].received - frames[0].received, 90 * kMillisecond);
  EXPECT_GE(frames[2].at, frames[2].received);
}

TEST(PacedSource, InterruptEndsAWait) {
  std::vector<std::int64_t> asked;
  const auto paced = video::make_paced_source(
      std::make_unique<TimedSource>(std::vector<std::int64_t>{0, 3600000}, Rational{0, 1}, asked));
  std::thread other([&] {
    std::this_thread::sleep_for(50ms);
    paced->interrupt();
  });
  EXPECT_EQ(play(*paced).size(), 1U);  // not an hour later
  other.join();
}

}  // namespace
}  // namespace peregrine::testing
