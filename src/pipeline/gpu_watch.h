// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/gpu_monitor.h"
#include "engine/gpu_engine.h"

namespace peregrine::pipeline {

/// How a run used its GPU.
struct GpuUse {
  int device = 0;
  int samples = 0;
  double mean_sm_percent = 0, mean_decoder_percent = 0;
  std::int64_t used_bytes = 0, peak_used_bytes = 0, total_bytes = 0;  ///< by all processes
  engine::GpuMemory memory;                                           ///< of this process
  /// cudaMalloc calls since every stream was under way; 0 where that was never seen.
  std::uint64_t allocations_when_steady = 0;
  /// Growth of the memory in use (all processes), bytes an hour, and whether it is a leak rather
  /// than noise: a straight rise over at least a minute by more than 32 MiB.
  double slope_bytes_per_hour = 0;
  bool leaks = false;
};

/// A straight line through memory over time.
struct MemoryTrend {
  double bytes_per_second = 0;
  double fit = 0;  ///< r squared: 1 is a straight line
};
/// Least squares; zeros for fewer than three points.
MemoryTrend memory_trend(const std::vector<double>& seconds, const std::vector<double>& bytes);

/// Samples a GPU once a second in a thread of its own while a pipeline runs.
class GpuWatch {
 public:
  /// `is_steady` says whether every stream is under way, so that nothing should be allocated any
  /// more; asked from the watch's thread until it is true.
  GpuWatch(int device, std::function<bool()> is_steady);
  ~GpuWatch();
  /// So far. Safe from any thread.
  GpuUse use() const;
  /// With one more sample, so that a run of less than a second has one.
  GpuUse last();

 private:
  void loop();
  void take_sample();

  const int device_;
  const std::function<bool()> is_steady_;
  const GpuMonitor monitor_;
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  GpuUse use_;
  std::optional<std::uint64_t> allocations_at_steady_;
  double sm_sum_ = 0, decoder_sum_ = 0;
  std::vector<double> seconds_, bytes_;  // of samples after the warm-up, for the trend
  std::thread thread_;                   // last: it uses everything above
};

}  // namespace peregrine::pipeline
