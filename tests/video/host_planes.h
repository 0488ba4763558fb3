// SPDX-License-Identifier: Apache-2.0
// Decoded pictures of host and GPU in one form, to be compared sample by sample.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "peregrine/frame.h"

namespace peregrine::testing {

/// Y, U and V of a frame, 8 bits a sample (10 are rounded), without padding.
struct HostPlanes {
  int width = 0, height = 0, chroma_width = 0, chroma_height = 0;
  std::array<std::vector<std::uint8_t>, 3> samples;
};

/// Of YUV frames in any memory; waits for a GPU's to be complete.
HostPlanes host_planes(const Frame& frame);

/// Where a and b are furthest apart: "" when nowhere by more than `tolerance`.
std::string difference(const HostPlanes& a, const HostPlanes& b, int tolerance);

}  // namespace peregrine::testing
