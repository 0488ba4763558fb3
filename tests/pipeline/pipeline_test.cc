// SPDX-License-Identifier: Apache-2.0
// The wiring alone: scripted sources, a predictor that answers at once, sinks that remember.
#include "pipeline/pipeline.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "core/stopwatch.h"

namespace peregrine::pipeline {
namespace {

using std::chrono::milliseconds;

struct Script {
  int frames = 0;
  milliseconds interval{0};
  std::optional<Error> open_error{}, end_error{};
  std::optional<int> gap_before{};  // frame index
  bool hang_at_end = false;
  bool live = false;
  milliseconds age{0};  // of a frame when it is handed out
};

class ScriptedSource : public video::Source {
 public:
  explicit ScriptedSource(const Script& script) : script_(script) {
    info_.width = 8;
    info_.height = 8;
    info_.frame_count = script.frames;
    info_.frame_rate = {10, 1};
    info_.time_base = {1, 10};
    info_.live = script.live;
  }
  const video::SourceInfo& info() const override { return info_; }
  video::SourceEvent read() override {
    std::unique_lock lock(mutex_);
    const bool hang = next_ == script_.frames && script_.hang_at_end;
    if (hang) changed_.wait(lock, [this] { return interrupted_; });
    changed_.wait_for(lock, script_.interval, [this] { return interrupted_; });
    if (interrupted_) return video::EndOfStream{};
    if (script_.gap_before == next_ && !gap_given_) {
      gap_given_ = true;
      return StreamGap{0, 1.0, 2.0, "stalled"};
    }
    if (next_ == script_.frames) {
      if (script_.end_error) throw *script_.end_error;
      return video::EndOfStream{};
    }
    Frame frame;
    frame.info = {0, next_, next_, {1, 10}, 8, 8};
    auto pixels = std::make_shared<std::vector<std::uint8_t>>(8 * 8, 0);
    frame.format = PixelFormat::kGray8;
    frame.planes[0] = {pixels->data(), 8};
    frame.storage = pixels;
    frame.received = steady_nanoseconds() - std::chrono::nanoseconds(script_.age).count();
    ++next_;
    return frame;
  }
  void interrupt() noexcept override {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    changed_.notify_all();
  }

 private:
  Script script_;
  video::SourceInfo info_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int next_ = 0;
  bool gap_given_ = false;
  bool interrupted_ = false;
};

// Finds one object a frame, its box at the frame's index, so that answers can be matched to frames.
class EchoPredictor : public vision::Predictor {
 public:
  explicit EchoPredictor(int fail_at = -1) : fail_at_(fail_at) {}
  int max_batch() const override { return 8; }
  void submit(std::span<const Frame> frames) override {
    infos_.clear();
    for (const Frame& frame : frames) infos_.push_back(frame.info);
  }
  vision::PredictTimes collect(std::span<FrameResult> results) override {
    std::this_thread::sleep_for(
        std::chrono::microseconds(50 * (infos_[0].index % 7)));  // out of order
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (infos_[i].index == fail_at_) throw Error(ErrorCode::kEngine, "the engine broke");
      const auto x = static_cast<float>(infos_[i].index);
      results[i] = {};
      results[i].frame = infos_[i];
      results[i].detections.boxes = {{x, 0, x + 10, 10}};
      results[i].detections.scores = {0.9f};
      results[i].detections.classes = {0};
    }
    return {1000, 2000, 3000};
  }

 private:
  const int fail_at_;
  std::vector<FrameInfo> infos_;
};

struct Log {
  std::mutex mutex;
  std::map<int, std::vector<std::int64_t>> frames;  // by stream; -1 marks a gap
  std::map<int, int> opened, closed;
  bool finished = false;
};

class RecordingSink : public output::Sink {
 public:
  explicit RecordingSink(Log& log, int slow_stream = -1, int fail_at = -1)
      : log_(log), slow_stream_(slow_stream), fail_at_(fail_at) {}
  void open_stream(const output::StreamInfo& stream) override {
    const std::lock_guard lock(log_.mutex);
    ++log_.opened[stream.stream];
  }
  void write(const FrameResult& result, const Frame& frame) override {
    EXPECT_TRUE(frame.empty());  // no sink asked for pictures
    EXPECT_EQ(result.detections.boxes.at(0).x1, static_cast<float>(result.frame.index));
    if (result.frame.index == fail_at_) throw Error(ErrorCode::kOutput, "disk full");
    if (result.frame.stream == slow_stream_) std::this_thread::sleep_for(milliseconds(30));
    const std::lock_guard lock(log_.mutex);
    log_.frames[result.frame.stream].push_back(result.frame.index);
  }
  void write_gap(const StreamGap& gap) override {
    const std::lock_guard lock(log_.mutex);
    log_.frames[gap.stream].push_back(-1);
  }
  void close_stream(int stream) override {
    const std::lock_guard lock(log_.mutex);
    ++log_.closed[stream];
  }
  void finish() override { log_.finished = true; }
  std::vector<std::string> paths() const override { return {}; }

 private:
  Log& log_;
  const int slow_stream_;
  const int fail_at_;
};

struct Rig {
  std::vector<Script> scripts;
  PipelineOptions options;
  int predictor_fails_at = -1;
  int sink_fails_at = -1;
  int slow_stream = -1;
  bool live = false;
  std::function<std::unique_ptr<vision::Predictor>()> make_predictor = [this] {
    return std::make_unique<EchoPredictor>(predictor_fails_at);
  };
  Log log;

  std::unique_ptr<Pipeline> make() {
    std::vector<StreamSpec> streams;
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      StreamSpec spec;
      spec.source.name = "source" + std::to_string(i);
      spec.live = live;
      spec.open = [script =
                       scripts[i]](const std::atomic<bool>&) -> std::unique_ptr<video::Source> {
        if (script.open_error) throw *script.open_error;
        return std::make_unique<ScriptedSource>(script);
      };
      streams.push_back(std::move(spec));
    }
    std::vector<std::unique_ptr<output::Sink>> sinks;
    sinks.push_back(std::make_unique<RecordingSink>(log, slow_stream, sink_fails_at));
    return std::make_unique<Pipeline>(options, std::move(streams), make_predictor, nullptr,
                                      std::move(sinks));
  }
  RunSummary run() { return make()->run(); }
};

std::vector<std::int64_t> upto(int count) {
  std::vector<std::int64_t> values;
  for (int i = 0; i < count; ++i) values.push_back(i);
  return values;
}

TEST(Pipeline, EveryStreamArrivesWholeAndInOrder) {
  Rig rig;
  for (int i = 0; i < 12; ++i) rig.scripts.push_back({50 + i});
  rig.options.workers = 4;
  rig.options.batch = 3;
  rig.options.max_open_files = 5;
  const RunSummary summary = rig.run();
  EXPECT_EQ(summary.exit_code(), 0);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(rig.log.frames[i], upto(50 + i)) << i;
    EXPECT_EQ(rig.log.closed[i], 1);
    EXPECT_TRUE(summary.streams[static_cast<std::size_t>(i)].ended);
  }
  EXPECT_TRUE(rig.log.finished);
  EXPECT_EQ(summary.stages.infer.count(), static_cast<std::uint64_t>(summary.frames));
  EXPECT_EQ(summary.stages.write.count(), static_cast<std::uint64_t>(summary.frames));
}

TEST(Pipeline, OneDeadStreamLeavesTheOthersAlone) {
  Rig rig;
  rig.scripts = {{20},
                 {.frames = 0, .open_error = Error(ErrorCode::kInputNotFound, "no such camera")},
                 {.frames = 7, .end_error = Error(ErrorCode::kInputCorrupt, "truncated")}};
  const RunSummary summary = rig.run();
  EXPECT_EQ(summary.exit_code(), 6);
  EXPECT_EQ(rig.log.frames[0], upto(20));
  EXPECT_EQ(rig.log.frames[2], upto(7));
  EXPECT_EQ(rig.log.opened[1], 0);
  EXPECT_STREQ(summary.streams[1].error->what(), "no such camera");
  EXPECT_EQ(summary.streams[2].error->code(), ErrorCode::kInputCorrupt);
  EXPECT_FALSE(summary.streams[2].ended);
}

TEST(Pipeline, OnlyFailuresGiveTheErrorsOwnCode) {
  Rig rig;
  rig.scripts = {{.frames = 0, .open_error = Error(ErrorCode::kInputNotFound, "no such file")}};
  EXPECT_EQ(rig.run().exit_code(), 3);
}

TEST(Pipeline, ASlowSinkHoldsItsOwnStreamOnly) {
  Rig rig;
  rig.scripts = {{20}, {200}};
  rig.slow_stream = 0;
  rig.options.workers = 2;
  auto pipeline = rig.make();
  std::thread runner([&] { EXPECT_EQ(pipeline->run().exit_code(), 0); });
  // Stream 0 needs at least 600 ms for its 20 frames; stream 1 must be through long before.
  bool overtook = false;
  for (int i = 0; i < 550 && !overtook; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
    const std::lock_guard lock(rig.log.mutex);
    overtook = rig.log.frames[1].size() == 200 && rig.log.frames[0].size() < 20;
  }
  runner.join();
  EXPECT_TRUE(overtook);
}

TEST(Pipeline, GapsKeepTheirPlace) {
  Rig rig;
  rig.scripts = {{.frames = 4, .gap_before = 2}};
  const RunSummary summary = rig.run();
  EXPECT_EQ(rig.log.frames[0], (std::vector<std::int64_t>{0, 1, -1, 2, 3}));
  EXPECT_EQ(summary.streams[0].gaps, 1);
}

TEST(Pipeline, MeasuresLiveStreamsFromPacketToAnswer) {
  Rig rig;
  rig.scripts = {{.frames = 5, .interval = milliseconds(5), .live = true, .age = milliseconds(500)},
                 {.frames = 5, .age = milliseconds(500)}};
  rig.slow_stream = 0;  // its sink takes 30 ms a frame
  rig.options.queue_depth = 8;
  const RunSummary summary = rig.run();
  EXPECT_EQ(summary.frames, 10);
  ASSERT_EQ(summary.stages.latency.count(), 5U);  // a file's frames wait as long as they like
  EXPECT_GE(summary.stages.latency.percentile_seconds(0), 0.53 * (1 - 1.0 / 32));
  EXPECT_LT(summary.stages.latency.mean_seconds(), 5);
}

TEST(Pipeline, ProgressTellsLatencyAndDroppedFrames) {
  Rig rig;
  rig.scripts = {{.frames = 200, .interval = milliseconds(1), .hang_at_end = true, .live = true}};
  rig.live = true;
  rig.slow_stream = 0;
  rig.options.queue_depth = 1;
  rig.options.workers = 1;
  auto pipeline = rig.make();
  RunSummary summary;
  std::thread runner([&] { summary = pipeline->run(); });
  Progress progress;
  while (progress.dropped_frames == 0 || progress.latency.count() == 0) {
    std::this_thread::sleep_for(milliseconds(1));
    progress = pipeline->progress();
  }
  EXPECT_GE(progress.latency.percentile_seconds(0.5), 0.029);
  pipeline->stop();
  runner.join();
  EXPECT_GE(summary.streams[0].dropped_frames, progress.dropped_frames);
  EXPECT_GE(summary.stages.latency.count(), progress.latency.count());
}

// The first batch keeps the device long enough for others to come.
class SlowToBegin : public EchoPredictor {
 public:
  SlowToBegin(std::mutex& mutex, std::vector<std::size_t>& batches)
      : mutex_(mutex), batches_(batches) {}
  vision::PredictTimes collect(std::span<FrameResult> results) override {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = batches_.empty();
      batches_.push_back(results.size());
    }
    if (first) std::this_thread::sleep_for(milliseconds(800));
    return EchoPredictor::collect(results);
  }

 private:
  std::mutex& mutex_;
  std::vector<std::size_t>& batches_;
};

// Were two workers to gather, one would find the device taken by the other, and wait once more.
TEST(Pipeline, WhatComesWhileTheDeviceIsBusyGoesTogether) {
  Rig rig;
  rig.scripts = {{.frames = 1},
                 {.frames = 1, .interval = milliseconds(200)},
                 {.frames = 1, .interval = milliseconds(220)},
                 {.frames = 1, .interval = milliseconds(240)}};
  rig.options.workers = 3;
  rig.options.batch = 8;
  rig.options.max_delay = std::chrono::seconds(10);
  std::mutex mutex;
  std::vector<std::size_t> batches;
  rig.make_predictor = [&] { return std::make_unique<SlowToBegin>(mutex, batches); };
  const Stopwatch watch;
  rig.run();
  EXPECT_EQ(batches, (std::vector<std::size_t>{1, 3}));
  EXPECT_LT(watch.seconds(), 5) << "an idle device ends the wait";
}

TEST(Pipeline, StopFinishesTheFilesAndSaysSo) {
  Rig rig;
  rig.scripts = {{.frames = 5, .hang_at_end = true}, {.frames = 5, .hang_at_end = true}};
  rig.live = true;
  auto pipeline = rig.make();
  RunSummary summary;
  std::thread runner([&] { summary = pipeline->run(); });
  while (pipeline->progress().frames < 10) std::this_thread::sleep_for(milliseconds(1));
  pipeline->stop();
  runner.join();
  EXPECT_EQ(summary.exit_code(), 130);
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(rig.log.frames[0], upto(5));
  EXPECT_TRUE(rig.log.finished);
}

TEST(Pipeline, ABrokenEngineStopsTheRunWithItsError) {
  Rig rig;
  rig.scripts = {{.frames = 100}, {.frames = 30, .hang_at_end = true}};
  rig.predictor_fails_at = 10;
  const RunSummary summary = rig.run();
  ASSERT_TRUE(summary.fatal);
  EXPECT_STREQ(summary.fatal->what(), "the engine broke");
  EXPECT_EQ(summary.exit_code(), 1);
  EXPECT_TRUE(rig.log.finished);
}

TEST(Pipeline, AFullDiskStopsTheRunWithItsError) {
  Rig rig;
  rig.scripts = {{.frames = 100}};
  rig.sink_fails_at = 10;
  const RunSummary summary = rig.run();
  ASSERT_TRUE(summary.fatal);
  EXPECT_STREQ(summary.fatal->what(), "disk full");
  EXPECT_EQ(rig.log.frames[0], upto(10));
}

}  // namespace
}  // namespace peregrine::pipeline
