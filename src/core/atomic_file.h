// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace peregrine {

/// A file that appears whole or not at all: it grows under another name in the same folder and
/// takes its own at `commit`. Whoever reads the path meanwhile sees the file before.
class AtomicFile {
 public:
  /// Throws `Error(kOutput)` naming path and cause. The mode is 0666 less the umask.
  explicit AtomicFile(const std::string& path);
  /// What was not committed is removed.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Throws `Error(kOutput)`.
  void write(std::span<const std::byte> bytes);
  /// Throws `Error(kOutput)`. Once.
  void commit();

 private:
  [[noreturn]] void fail(int error);

  std::string path_, partial_;
  int descriptor_ = -1;
};

}  // namespace peregrine
