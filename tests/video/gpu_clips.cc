// SPDX-License-Identifier: Apache-2.0
#include "video/gpu_clips.h"

#include <cstdlib>

#include "video/clips.h"

namespace peregrine::testing {

const std::string& gpu_clips() {
  static const TemporaryFolder made;
  static const std::string folder = [] {
    if (const char* named = std::getenv("PEREGRINE_GPU_CLIPS")) return std::string(named);
    if (!has_program("ffmpeg")) return std::string();
    shell(PEREGRINE_SOURCE_DIR "/tests/video/make_gpu_clips '" + made.path().string() + "' >&2");
    return made.path().string();
  }();
  return folder;
}

}  // namespace peregrine::testing
