// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ledger.h"
#include "output/sink.h"
#include "peregrine/engine.h"
#include "peregrine/error.h"
#include "pipeline/gpu_watch.h"
#include "pipeline/latency_histogram.h"
#include "track/tracker.h"
#include "video/source.h"
#include "vision/embedder.h"
#include "vision/predictor.h"

namespace peregrine::pipeline {

/// One source and how its stream is opened.
struct StreamSpec {
  video::SourceSpec source;
  video::SourceOptions options;
  /// Opens it; runs in the stream's decoding thread and may block until `cancel` is set.
  std::function<std::unique_ptr<video::Source>(const std::atomic<bool>& cancel)> open;
  bool live = false;  ///< opened at once and never kept waiting for other streams
};

struct PipelineOptions {
  int queue_depth = 4;     ///< decoded frames that wait for inference, a stream
  int workers = 2;         ///< batches in flight; each worker has a predictor of its own
  int batch = 1;           ///< frames a worker takes at once, from any streams
  int window = 0;          ///< frames of a stream past its queue, at most; 0: what workers take
  int max_open_files = 8;  ///< files decoded side by side; the others wait their turn
  std::optional<track::ByteTrackOptions> tracking;
  float confidence =
      0.25f;     ///< with tracking, untracked detections below it are left out of the answer
  int gpu = -1;  ///< the GPU that is watched while this runs; -1: none
  /// How long a batch that is not full waits for more frames while others run.
  std::chrono::microseconds max_delay{0};
};

/// How one stream ended.
struct StreamSummary {
  std::string name;
  std::int64_t frames = 0;
  std::int64_t detections = 0;
  std::vector<std::int64_t> detections_by_class;  ///< as long as the highest class that was seen
  std::int64_t tracks = 0;
  std::int64_t corrupt_packets = 0;
  std::int64_t dropped_frames = 0;
  std::int64_t gaps = 0;
  bool ended = false;  ///< read to its end, not stopped
  std::optional<Error> error;
};

/// Time in each stage, over all streams; one entry a frame.
struct StageTimes {
  LatencyHistogram decode, preprocess, infer, postprocess, track, embed, write;
  /// Of live streams: from a frame's packet to its answer in every sink.
  LatencyHistogram latency;
};

struct RunSummary {
  std::vector<StreamSummary> streams;
  StageTimes stages;
  std::int64_t frames = 0;
  double seconds = 0;
  bool interrupted = false;
  std::vector<std::string> outputs;    ///< paths written
  std::vector<LedgerEntry> transfers;  ///< between host and GPU, while it ran
  std::optional<GpuUse> gpu;
  /// What stopped every stream (an engine or a sink that failed); stream errors are in `streams`.
  std::optional<Error> fatal;
  /// 0 when every stream is whole, 130 interrupted, 6 when some answers are missing, else that of
  /// the error.
  int exit_code() const;
};

/// A moment of a running pipeline, for progress displays.
struct Progress {
  std::int64_t frames = 0;
  std::int64_t expected_frames = 0;  ///< 0 when a length is unknown
  int streams_running = 0, streams_waiting = 0, streams_done = 0;
  std::int64_t dropped_frames = 0;
  bool steady = false;  ///< every stream has run for a while
  double seconds = 0;
  LatencyHistogram latency;                                                   ///< as in StageTimes
  double decode_ms = 0, preprocess_ms = 0, infer_ms = 0, postprocess_ms = 0;  ///< means a frame
  std::optional<GpuUse> gpu;
};

/// Wires source -> preprocess -> engine -> task -> tracker -> sinks for any number of streams.
///
/// Each stream decodes in a thread of its own into a bounded queue and writes its answers, in
/// order, in another; `workers` threads between them take frames of any stream. A stream that fails
/// or stalls is reported and never blocks the others. Nothing here knows where frames and tensors
/// live: predictors do.
class Pipeline {
 public:
  /// `make_predictor` is called once a worker; `make_embedder` (may be null) once a stream that
  /// embeds.
  Pipeline(PipelineOptions options, std::vector<StreamSpec> streams,
           std::function<std::unique_ptr<vision::Predictor>()> make_predictor,
           std::function<std::unique_ptr<vision::Embedder>()> make_embedder,
           std::vector<std::unique_ptr<output::Sink>> sinks);
  ~Pipeline();

  /// Runs to the end of every stream, or until `stop`. Sinks are finished before it returns, also
  /// when it was stopped. Call once.
  RunSummary run();
  /// Ends all streams soon, keeping what is decoded. Safe from any thread.
  void stop() noexcept;
  /// Safe from any thread while `run` runs.
  Progress progress() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace peregrine::pipeline
