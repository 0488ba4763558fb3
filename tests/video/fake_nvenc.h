// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace peregrine::testing {

/// While it lives, encoders of this process find the NVENC of fake_nvenc_library.cc: what is loaded
/// under a library's name is what loading that name gives.
class FakeNvenc {
 public:
  FakeNvenc() {
    const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const std::string path = beside / "fake-nvenc" / "libnvidia-encode.so.1";
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) ADD_FAILURE() << dlerror();
  }
  ~FakeNvenc() {
    if (handle_ != nullptr) dlclose(handle_);
  }
  FakeNvenc(const FakeNvenc&) = delete;
  FakeNvenc& operator=(const FakeNvenc&) = delete;

 private:
  void* handle_;
};

}  // namespace peregrine::testing
