// SPDX-License-Identifier: Apache-2.0
// How fast the synthetic world draws. Issue: 200 frames a second at 640 x 360 on one core,
// converted to YUV 4:2:0 and with truth.
#include <benchmark/benchmark.h>

#include "video/synth/synth.h"

namespace peregrine::synth {
namespace {

void draw_clip(benchmark::State& state, int width, int height, SynthTruth* truth) {
  // Several worlds, because day and night, blur and crowds cost differently.
  std::vector<std::unique_ptr<SynthWorld>> worlds;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SynthOptions options;
    options.seed = seed;
    options.width = width;
    options.height = height;
    worlds.push_back(std::make_unique<SynthWorld>(options));
  }
  std::int64_t frame = 0;
  for (auto _ : state) {
    SynthWorld& world = *worlds[static_cast<std::size_t>(frame) % worlds.size()];
    const Frame drawn =
        world.render(frame * 7 % world.options().frame_count(), PixelFormat::kYuv420p, truth);
    if (drawn.empty()) state.SkipWithError("no picture");
    ++frame;
  }
  state.counters["fps"] =
      benchmark::Counter(static_cast<double>(frame), benchmark::Counter::kIsRate);
}

void BM_SynthFrames(benchmark::State& state) {
  draw_clip(state, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)), nullptr);
}
BENCHMARK(BM_SynthFrames)->Args({640, 360})->Args({1920, 1080})->Unit(benchmark::kMillisecond);

void BM_SynthFramesWithTruth(benchmark::State& state) {
  SynthTruth truth;
  draw_clip(state, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)), &truth);
}
BENCHMARK(BM_SynthFramesWithTruth)->Args({640, 360})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace peregrine::synth

BENCHMARK_MAIN();
