// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"

namespace peregrine::bench {

/// Median microseconds of one replay of a graph. Replays follow each other without a gap, so the
/// host's part is not in the figure.
inline double microseconds_per_replay(const cuda::GraphExec& graph, const cuda::Stream& stream,
                                      int rounds = 5, int replays = 4) {
  std::vector<double> times;
  for (int round = -1; round < rounds; ++round) {  // the first round warms up
    const cuda::Event start = cuda::make_event(cuda::EventUse::kTiming),
                      stop = cuda::make_event(cuda::EventUse::kTiming);
    CUDA_CHECK(cudaEventRecord(start.get(), stream.get()));
    for (int i = 0; i < replays; ++i) CUDA_CHECK(cudaGraphLaunch(graph.get(), stream.get()));
    CUDA_CHECK(cudaEventRecord(stop.get(), stream.get()));
    CUDA_CHECK(cudaEventSynchronize(stop.get()));
    if (round >= 0) times.push_back(cuda::milliseconds_between(start, stop) * 1000.0 / replays);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace peregrine::bench
