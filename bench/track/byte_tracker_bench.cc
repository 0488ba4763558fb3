// SPDX-License-Identifier: Apache-2.0
// One update of the tracker. Aim: under 1 ms with 200 objects, so that tracking never limits a
// stream.
#include <cstdint>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "track/tracker.h"

namespace peregrine::track {
namespace {

constexpr int kFrames = 64;

// `objects` walkers on a 1080p picture; a fifth of the sightings are weak, so both stages work.
std::vector<Detections> walk(int objects) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<Box> boxes;
  std::vector<float> speed;
  for (int i = 0; i < objects; ++i) {
    const float x = 1800 * uniform(random), y = 900 * uniform(random);
    boxes.push_back({x, y, x + 30 + 60 * uniform(random), y + 60 + 90 * uniform(random)});
    speed.push_back(6 * uniform(random) - 3);
  }
  std::vector<Detections> frames(kFrames);
  for (Detections& frame : frames) {
    for (int i = 0; i < objects; ++i) {
      boxes[i].x1 += speed[i];
      boxes[i].x2 += speed[i];
      frame.boxes.push_back(boxes[i]);
      frame.scores.push_back(uniform(random) < 0.2f ? 0.2f : 0.8f);
      frame.classes.push_back(0);
    }
    frame.scores[0] = 0.8f;
  }
  return frames;
}

// The walk there and back again, so that the scene never jumps.
Detections& frame_at(std::vector<Detections>& frames, std::int64_t step) {
  const auto phase = static_cast<std::size_t>(step % (2 * kFrames));
  return frames[phase < kFrames ? phase : 2 * kFrames - 1 - phase];
}

void BM_ByteTrackerUpdate(benchmark::State& state) {
  const auto objects = static_cast<int>(state.range(0));
  std::vector<Detections> frames = walk(objects);
  const auto tracker = make_byte_tracker({});
  std::int64_t step = 0;
  for (; step < 2 * kFrames; ++step)
    tracker->update(frame_at(frames, step), {static_cast<double>(step) / 30.0});
  int tracked = 0;
  for (const std::int64_t id : frames[0].tracks) tracked += id != kNoTrack;
  if (tracked < objects * 95 / 100) {
    state.SkipWithError("the tracker lost objects: a fast wrong answer is none");
    return;
  }
  for (auto _ : state) {
    tracker->update(frame_at(frames, step), {static_cast<double>(step) / 30.0});
    ++step;
  }
  state.counters["tracked"] = tracked;
}
BENCHMARK(BM_ByteTrackerUpdate)->Arg(10)->Arg(50)->Arg(200)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace peregrine::track
