// SPDX-License-Identifier: Apache-2.0
#include "video/prefetch.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

using namespace std::chrono_literals;
using video::EndOfStream;
using video::Prefetch;
using video::PrefetchItem;
using video::SourceEvent;

/// A source that follows a script: called with the number of the read.
class ScriptedSource final : public video::Source {
 public:
  ScriptedSource(bool live, std::function<SourceEvent(int)> script) : script_(std::move(script)) {
    info_.live = live;
  }
  const video::SourceInfo& info() const override { return info_; }
  SourceEvent read() override {
    if (interrupted_) return EndOfStream{};
    return script_(reads_++);
  }
  void interrupt() noexcept override { interrupted_ = true; }
  bool interrupted() const { return interrupted_; }

 private:
  video::SourceInfo info_;
  std::function<SourceEvent(int)> script_;
  int reads_ = 0;
  std::atomic<bool> interrupted_{false};
};

Frame frame_at(int pts) {
  Frame frame;
  frame.info.pts = pts;
  return frame;
}

std::int64_t pts_of(const PrefetchItem& item) { return std::get<Frame>(item.event).info.pts; }

TEST(Prefetch, KeepsOrderAndRepeatsTheEnd) {
  Prefetch prefetch(
      std::make_unique<ScriptedSource>(
          false, [](int n) { return n < 20 ? SourceEvent(frame_at(n)) : EndOfStream{}; }),
      {.depth = 3, .on_ready = {}});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pts_of(prefetch.next(5s).value()), i);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(prefetch.next(5s).value().is_last());
  EXPECT_EQ(prefetch.dropped_frames(), 0);
}

TEST(Prefetch, ReadsAFileNoFurtherAheadThanItsDepth) {
  std::atomic<int> reads = 0;
  Prefetch prefetch(std::make_unique<ScriptedSource>(false,
                                                     [&](int n) {
                                                       ++reads;
                                                       return SourceEvent(frame_at(n));
                                                     }),
                    {.depth = 4, .on_ready = {}});
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(reads, 5);  // four waiting, one in hand
  EXPECT_EQ(pts_of(prefetch.next(5s).value()), 0);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(reads, 6);
}

// Whoever looks through hundreds of streams for a frame does so many thousand times a second.
TEST(Prefetch, TryingDoesNotWait) {
  std::mutex mutex;
  std::unique_lock silence(mutex);
  Prefetch prefetch(std::make_unique<ScriptedSource>(true,
                                                     [&](int) {
                                                       const std::lock_guard lock(mutex);
                                                       return SourceEvent(EndOfStream{});
                                                     }),
                    {.depth = 2, .on_ready = {}});
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20000; ++i) EXPECT_FALSE(prefetch.try_next());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 500ms);  // 1.2 s and more with timers
  silence.unlock();
  EXPECT_TRUE(prefetch.next(5s).value().is_last());
}

TEST(Prefetch, DropsTheOldestFramesOfALiveSourceButNoGap) {
  std::atomic<bool> done = false;
  Prefetch prefetch(std::make_unique<ScriptedSource>(true,
                                                     [&](int n) -> SourceEvent {
                                                       if (n == 10) {
                                                         done = true;
                                                         return EndOfStream{};
                                                       }
                                                       if (n == 2) return StreamGap{0, 1, 2, "x"};
                                                       return frame_at(n);
                                                     }),
                    {.depth = 3, .on_ready = {}});
  while (!done) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(std::holds_alternative<StreamGap>(prefetch.next(5s).value().event));
  EXPECT_EQ(pts_of(prefetch.next(5s).value()), 8);
  EXPECT_EQ(pts_of(prefetch.next(5s).value()), 9);
  EXPECT_TRUE(prefetch.next(5s).value().is_last());
  EXPECT_EQ(prefetch.dropped_frames(), 7);
}

TEST(Prefetch, DeliversAnErrorAfterTheFramesBeforeIt) {
  Prefetch prefetch(std::make_unique<ScriptedSource>(false,
                                                     [](int n) -> SourceEvent {
                                                       if (n == 2)
                                                         throw Error(ErrorCode::kInputCorrupt,
                                                                     "cut here");
                                                       return frame_at(n);
                                                     }),
                    {});
  EXPECT_EQ(pts_of(prefetch.next(5s).value()), 0);
  EXPECT_EQ(pts_of(prefetch.next(5s).value()), 1);
  const PrefetchItem last = prefetch.next(5s).value();
  EXPECT_TRUE(last.is_last());
  EXPECT_ERROR(std::rethrow_exception(last.error), ErrorCode::kInputCorrupt, "cut here");
}

TEST(Prefetch, TellsWhenSomethingIsThereAndHowLongItTook) {
  std::mutex mutex;
  std::condition_variable changed;
  int ready = 0;
  const auto on_ready = [&] {
    const std::lock_guard lock(mutex);
    ++ready;
    changed.notify_one();
  };
  Prefetch prefetch(std::make_unique<ScriptedSource>(false,
                                                     [](int n) -> SourceEvent {
                                                       std::this_thread::sleep_for(30ms);
                                                       if (n == 1) return EndOfStream{};
                                                       return frame_at(n);
                                                     }),
                    {.depth = 2, .on_ready = on_ready});
  EXPECT_FALSE(prefetch.try_next());
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, 5s, [&] { return ready == 2; }));
  const auto first = prefetch.try_next();
  ASSERT_TRUE(first);
  EXPECT_GE(first->decode_time, 30ms);
  EXPECT_LT(first->decode_time, 1s);
  EXPECT_TRUE(prefetch.try_next().value().is_last());
}

TEST(Prefetch, InterruptEndsAReaderThatWaitsForRoom) {
  Prefetch prefetch(
      std::make_unique<ScriptedSource>(false, [](int n) { return SourceEvent(frame_at(n)); }),
      {.depth = 1, .on_ready = {}});
  std::this_thread::sleep_for(20ms);
  prefetch.interrupt();
  EXPECT_EQ(pts_of(prefetch.next(5s).value()), 0);
  EXPECT_TRUE(prefetch.next(5s).value().is_last());
}

TEST(Prefetch, GoesAwayWhileItsQueueIsFull) {
  const auto start = std::chrono::steady_clock::now();
  {
    const Prefetch prefetch(
        std::make_unique<ScriptedSource>(false, [](int n) { return SourceEvent(frame_at(n)); }),
        {.depth = 1, .on_ready = {}});
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

}  // namespace
}  // namespace peregrine::testing
