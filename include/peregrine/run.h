// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "peregrine/detections.h"
#include "peregrine/error.h"

namespace peregrine {

/// What `peregrine run` takes, for programs: a model over any number of sources.
struct RunRequest {
  std::vector<std::string>
      sources;  ///< files, folders, globs, `.txt` lists, rtsp:// and http:// addresses, "-"
  /// Paths of ONNX files or plans, or names of `[[models]]` tables; the answers of several are
  /// merged: one object, with what each says of it.
  std::vector<std::string> models;
  std::string config_file;  ///< TOML; empty: none is read
  /// Keys as `peregrine config keys` lists them, such as {"inference.confidence", "0.4"},
  /// {"tracking.enabled", "true"}, {"output.jsonl", "out.jsonl"}. The environment is not read.
  std::map<std::string, std::string> settings;
  /// Receives each answer; the frames of one stream come in order, streams from threads of their
  /// own. Must be thread-safe and should return soon: its stream waits for it.
  std::function<void(const FrameResult&)> on_result;
  std::function<void(const StreamGap&)> on_gap;  ///< time of a live stream that was never received
};

/// How one stream ended.
struct StreamReport {
  std::string name;
  std::int64_t frames = 0;
  std::string error;  ///< empty: it was read to its end, or stopped
};

struct RunReport {
  std::vector<StreamReport> streams;
  std::int64_t frames = 0;
  double seconds = 0;
  int exit_code = 0;  ///< what the program would exit with
};

/// A run that is set up: model compiled, task known, outputs opened.
class PEREGRINE_API Run {
 public:
  /// Throws `Error` that names the source, model, setting or path that is wrong.
  explicit Run(const RunRequest& request);
  ~Run();

  /// Names of the model's classes, by `Detections::classes`.
  const std::vector<std::string>& labels() const;
  /// Runs until every source has ended or `stop`. A failed source is in the report and stops no
  /// other. Call once. Throws `Error` when the engine or an output fails.
  RunReport wait();
  /// Ends all sources soon and finishes the outputs. Safe from any thread.
  void stop() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace peregrine
