// SPDX-License-Identifier: Apache-2.0
// Measured tactics, kept from one build to the next and shared by all models of one user.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "compiler/program.h"

namespace peregrine::compiler {

/// What a step's time depends on: kernel, operands (shapes, strides, dtypes, regions, how their
/// addresses are aligned), attributes and epilogue. Neither names nor offsets.
std::string tactic_key(const Step& step);

/// A file of tactics. Broken or foreign lines of it are passed over: at worst something is measured
/// again. A tactic found is a string like any other: whether the kernel still offers it is the
/// caller's to ask. Not thread-safe; processes may share the file.
class TacticCache {
 public:
  struct Entry {
    std::string tactic;
    double microseconds = 0;
  };

  /// `path`: "" keeps nothing. `machine`: what else a time depends on (device, driver, runtime, the
  /// kernels' version); entries of other machines live in the same file and are left alone. Never
  /// throws for what the file holds.
  TacticCache(std::string path, std::string machine);

  std::optional<Entry> find(const std::string& key) const;
  void store(const std::string& key, Entry entry);
  /// Puts what was stored since into the file, beside what other processes put there meanwhile.
  /// Does nothing when nothing was. Throws `Error(kOutput)`.
  void save();

 private:
  std::string line_key(const std::string& key) const;

  const std::string path_, machine_;
  std::map<std::string, Entry> entries_;  // by `line_key`
  std::map<std::string, Entry> fresh_;    // of them, what the file does not have yet
};

}  // namespace peregrine::compiler
