// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>

#include "peregrine/error.h"

namespace peregrine::synth {

/// A file of raw numbers that grows; a full disk is an error.
class DumpFile {
 public:
  explicit DumpFile(std::string path)
      : handle_(std::fopen(path.c_str(), "wb")), path_(std::move(path)) {
    if (handle_ == nullptr) throw Error(ErrorCode::kOutput, path_ + ": cannot be written");
  }
  ~DumpFile() { std::fclose(handle_); }
  DumpFile(const DumpFile&) = delete;
  DumpFile& operator=(const DumpFile&) = delete;
  void write(const void* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, handle_) != bytes) {
      throw Error(ErrorCode::kOutput, path_ + ": disk full");
    }
  }

 private:
  std::FILE* handle_;
  std::string path_;
};

}  // namespace peregrine::synth
