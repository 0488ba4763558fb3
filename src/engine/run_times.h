// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace peregrine::engine {

/// Times of single runs; `runs` is 0 where nothing was timed.
struct RunTimes {
  double p50_us = 0, p95_us = 0, p99_us = 0;
  double mean_us = 0;
  int runs = 0;
};
/// Of at least one time. A percentile is a time that was measured, the next lower one.
RunTimes summarize(std::vector<double> microseconds);

}  // namespace peregrine::engine
