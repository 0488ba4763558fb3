// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace peregrine::cli {

/// peregrine bench SOURCE... --model M: how many such cameras this machine serves. Each trial plays
/// a number of paced copies of the videos; the search finds the largest number that is answered in
/// time.
class StreamBench {
 public:
  /// Puts its own options on the command.
  explicit StreamBench(CLI::App& command);
  /// Whether `--model` was given, so that the arguments are videos.
  bool asked() const;
  /// What the command's general options say.
  struct General {
    std::vector<std::string> sources;
    std::string device, precision, json;
    double seconds = 0;  ///< measured in each trial; 0: 5
  };
  /// The exit status. Throws `Error`.
  int run(const General& general) const;

 private:
  struct Options;
  std::shared_ptr<Options> options_;
};

}  // namespace peregrine::cli
