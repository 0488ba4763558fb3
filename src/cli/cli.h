// SPDX-License-Identifier: Apache-2.0
// What the subcommands share. Each has its own file with one `add_...` that puts it into the
// program; its options live in that file, and `Action` is what main then runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace peregrine::cli {

/// The chosen subcommand's work; returns the exit status, throws `Error`.
using Action = std::function<int()>;

void add_bench(CLI::App& program, Action& action);
void add_build(CLI::App& program, Action& action);
void add_config(CLI::App& program, Action& action);
void add_doctor(CLI::App& program, Action& action);
void add_inspect(CLI::App& program, Action& action);
void add_run(CLI::App& program, Action& action);
void add_synth(CLI::App& program, Action& action);
void add_validate(CLI::App& program, Action& action);
void add_eval(CLI::App& program, Action& action);

/// Rows of cells as aligned columns, two spaces apart; the last column is never padded.
class Table {
 public:
  explicit Table(std::vector<std::string> head = {});
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  /// Every line indented by `indent` spaces and ended by a newline.
  std::string text(int indent = 0) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Writes to stdout. Throws `Error(kOutput)` when that fails (a full disk, a closed pipe).
void print(const std::string& text);
/// Writes a report to a file that appears whole, "-" for stdout. Throws `Error(kOutput)`.
void save(const std::string& path, const std::string& text);

}  // namespace peregrine::cli
