// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/tactic.h"

#include <algorithm>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"

namespace peregrine::cuda {

double microseconds_in_chain(cudaStream_t stream, int length, const std::function<void()>& launch) {
  constexpr int kRounds = 5, kReplays = 4;
  const GraphExec graph = capture(stream, [&] {
    for (int i = 0; i < length; ++i) launch();
  });
  const Event start = make_event(true), stop = make_event(true);
  std::vector<double> times;
  for (int round = 0; round <= kRounds; ++round) {
    CUDA_CHECK(cudaEventRecord(start.get(), stream));
    for (int i = 0; i < kReplays; ++i) CUDA_CHECK(cudaGraphLaunch(graph.get(), stream));
    CUDA_CHECK(cudaEventRecord(stop.get(), stream));
    CUDA_CHECK(cudaEventSynchronize(stop.get()));
    const double us = milliseconds_between(start, stop) * 1000.0 / kReplays / length;
    if (round > 0) times.push_back(us);  // the first round warms up
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace peregrine::cuda
