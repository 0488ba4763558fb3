// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "pipeline/pipeline.h"

namespace peregrine::cli {

enum class ProgressMode { kNone, kTerminal, kJson };

/// "auto" shows a line that renews itself where stderr is a terminal and nothing elsewhere; "json"
/// prints one object a second; "none" is silent. Throws `Error(kUsage)` for anything else.
ProgressMode progress_mode(const std::string& name);

/// Shows a running pipeline on stderr from a thread of its own until it is destroyed.
class ProgressReporter {
 public:
  ProgressReporter(ProgressMode mode, std::function<pipeline::Progress()> sample);
  ~ProgressReporter();

 private:
  void loop();

  const ProgressMode mode_;
  const std::function<pipeline::Progress()> sample_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

/// One line for people: "1,234 frames of 5,000  24.7%  98.1 fps  ETA 0:38  ...".
std::string progress_line(const pipeline::Progress& progress);
/// The same for programs, one JSON object without a newline.
std::string progress_json(const pipeline::Progress& progress);

/// The tables at the end of a run: totals, objects by class, time in each stage.
std::string summary_text(const pipeline::RunSummary& summary,
                         const std::vector<std::string>& labels);

}  // namespace peregrine::cli
