// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "clip_decoder.h"

namespace peregrine::bench {

struct Race {
  std::string clip;
  int streams = 1;    ///< threads, each with its own demuxer and decoder
  int processes = 1;  ///< the streams are dealt out among them
  int extra_frames = 0;
  int held = 0;  ///< frames a stream keeps before it drops the oldest, as a pipeline would
  Sharing sharing;
  double seconds = 3;
};

struct RaceResult {
  std::string error;                         ///< why nothing was measured; empty otherwise
  double frames_per_second = 0, lowest = 0;  ///< all streams; median and lowest of five slices
  double cpu_cores = 0;                      ///< host processor seconds a second
  double device_mib = 0;                     ///< beyond one CUDA context without a decoder
};

/// Decodes in new processes. All streams deliver a frame before the clock starts.
RaceResult run_race(const Race& race);

}  // namespace peregrine::bench
