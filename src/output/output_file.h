// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace peregrine::output {

/// A file (or standard output, "-") written in whole pieces: each `write` is on its way to the disk
/// when it returns, and a piece that does not fit is taken back, so the file always ends with a
/// whole piece. Not thread-safe.
class OutputFile {
 public:
  /// Creates or truncates `path`. Throws `Error(kOutput)` naming the path, the cause and a way out.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Throws `Error(kOutput)`: disk full, reader gone (never SIGPIPE). Every call after a failed one
  /// throws the same.
  void write(std::string_view piece);
  /// Closes the file; throws `Error(kOutput)` when the disk reports a late failure.
  void close();
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(int error);

  std::string path_;
  int descriptor_ = -1;
  bool owned_ = false;    // standard output is not ours to close
  bool regular_ = false;  // only these can take a piece back
  std::int64_t whole_ = 0;
  std::string failure_;
};

/// "cannot write 'PATH': cause; way out", for errno `error`.
std::string describe_write_error(const std::string& path, int error);

/// The path of one stream's file: `path` when `only` (a run of a single stream, number 0), else
/// with
/// "-N" before the extension. Standard output and devices stay as they are.
std::string stream_path(const std::string& path, int stream, bool only);
/// Where a file grows until it is complete: "out.mp4" becomes "out.partial-PID.mp4" in the same
/// folder, visible and playable if the run dies. Standard output and devices stay as they are.
std::string partial_path(const std::string& path);
/// Gives a complete file its name, replacing one that is there; nothing to do for a device. Throws
/// `Error(kOutput)`.
void rename_into_place(const std::string& partial, const std::string& path);

}  // namespace peregrine::output
