// SPDX-License-Identifier: Apache-2.0
// The clips of make_gpu_clips, for tests of what decodes on the GPU.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "video/source.h"

namespace peregrine::testing {

/// The folder of clips: $PEREGRINE_GPU_CLIPS, where script/gpu-check unpacked them, or else made
/// now, once a process. Empty where there is no ffmpeg program to make them.
const std::string& gpu_clips();

/// Path of a clip, "hevc-10bit.mp4"; skips the running test, visibly, where there are none.
#define PEREGRINE_GPU_CLIP(variable, name)                                              \
  const std::string variable = ::peregrine::testing::gpu_clips() + "/" + (name);        \
  if (::peregrine::testing::gpu_clips().empty())                                        \
  GTEST_SKIP() << "needs the ffmpeg program, or PEREGRINE_GPU_CLIPS with the clips of " \
                  "tests/video/make_gpu_clips"

/// Decoding on the first GPU.
inline video::SourceOptions on_gpu(bool strict = true) {
  video::SourceOptions options;
  options.gpu.device = 0;
  options.gpu.strict = strict;
  return options;
}

}  // namespace peregrine::testing
