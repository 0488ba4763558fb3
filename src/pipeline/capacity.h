// SPDX-License-Identifier: Apache-2.0
// How many cameras a machine serves: a number of paced copies of a video is a load, and the knee is
// the largest load that holds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/job.h"

namespace peregrine::pipeline {

/// Shares of the machine that were in use, 0 to 1; -1 where it has none or nobody can tell.
struct Shares {
  double decoder = -1;  ///< NVDEC: time in which its engines worked
  double sm = -1;       ///< time in which some kernel ran
  double memory = -1;   ///< of the GPU, by all processes
  double bus = -1;      ///< PCIe's nominal rate, in the busier direction, by this process
  double cpu = -1;      ///< of the cores that this process may use, by this process
};

/// What was measured while so many streams ran at once.
struct Load {
  int streams = 0;
  double seconds = 0;  ///< measured, after the warm-up
  std::int64_t frames = 0, dropped = 0;
  LatencyHistogram latency;  ///< from a frame's due time to its answer
  double cpu_cores = 0;      ///< CPU seconds a second
  Shares shares;
  /// Why the streams could not run: memory ran out, or they were not under way in time. Then
  /// nothing was measured.
  std::optional<Error> error;

  /// No frame dropped, and 95 of 100 answered within `bound_seconds`.
  bool holds(double bound_seconds) const;
};

struct LoadOptions {
  double seconds = 5;           ///< measured
  double settle_seconds = 1;    ///< after every stream has run for a while: queues drain
  double warm_up_seconds = 30;  ///< streams that are not under way by then are too many
};

/// Runs `streams` paced copies of the job's sources (in turn), which must be video files, for a
/// while; a drop ends the measurement early. `on_job` sees the job before it runs. Throws what
/// `make_job` throws, and a stream's own error unless it is lack of memory.
Load measure_load(const JobOptions& job, int streams, const LoadOptions& options,
                  const std::function<void(const Job&)>& on_job = {});

/// The largest number up to `most` for which `holds`, to 1 in 32: doubles from `first` until it
/// does not (halves when it does not at once), then bisects. 0: not even for 1. Each number is
/// asked once.
int find_knee(int first, int most, const std::function<bool(int)>& holds);

/// What keeps a machine from more than this load, which does not hold: its fullest part.
struct Limit {
  std::string name;   ///< "NVDEC", "SM", "memory", "PCIe", "CPU"
  double share = -1;  ///< -1: it ran out
  /// Less than this is no limit: then frames take their time although nothing is full.
  static constexpr double kFull = 0.7;
  bool full() const { return share < 0 || share >= kFull; }
};
Limit find_limit(const Load& load);

}  // namespace peregrine::pipeline
