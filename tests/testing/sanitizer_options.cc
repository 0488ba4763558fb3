// SPDX-License-Identifier: Apache-2.0
// Part of every program of a sanitizer build: what the sanitizers must know of the libraries we use.
#include <cstdlib>

extern "C" {

// A refused allocation is an error that the program reports, not the end of it.
__attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

// Leaks of those libraries, not ours.
__attribute__((visibility("default"))) const char* __lsan_default_suppressions() {
  return "leak:libopenvino\nleak:libtbb\nleak:libfontconfig\n";
}
}

namespace {
// TBB opens its helpers with RTLD_DEEPBIND, which the sanitizers abort on, unless told of them.
const int tbb_told = setenv("TBB_ENABLE_SANITIZERS", "1", 1);
}  // namespace
