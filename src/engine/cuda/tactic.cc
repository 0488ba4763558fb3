// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/tactic.h"

#include <algorithm>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"

namespace peregrine::cuda {

double microseconds_in_chain(cudaStream_t stream, int length, const std::function<void()>& launch) {
  const GraphExec graph = capture(stream, [&] {
    for (int i = 0; i < length; ++i) launch();
  });
  const Event start = make_event(EventUse::kTiming), stop = make_event(EventUse::kTiming);
  const auto replay_us = [&](int replays) {
    CUDA_CHECK(cudaEventRecord(start.get(), stream));
    for (int i = 0; i < replays; ++i) CUDA_CHECK(cudaGraphLaunch(graph.get(), stream));
    CUDA_CHECK(cudaEventRecord(stop.get(), stream));
    CUDA_CHECK(cudaEventSynchronize(stop.get()));
    return milliseconds_between(start, stop) * 1000.0 / replays;
  };
  // The first replay warms up and says how many more a few milliseconds are worth: what is long is
  // steady.
  constexpr double kRoundUs = 1500;
  const double first = replay_us(1);
  const int replays = std::clamp(static_cast<int>(kRoundUs / first), 1, 4);
  const int rounds = first > kRoundUs ? 3 : 5;
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) times.push_back(replay_us(replays) / length);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace peregrine::cuda
