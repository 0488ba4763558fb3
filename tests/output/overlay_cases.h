// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "peregrine/detections.h"

namespace peregrine::output {

/// Something to draw, for everything that draws the same.
struct OverlayCase {
  std::string name;
  Frame picture;  ///< NV12 noise on the host
  FrameResult result;
};

const std::vector<std::string>& overlay_labels();
/// Each kind of shape, sizes and colour descriptions; seeded.
std::vector<OverlayCase> overlay_cases();
/// 1080p with `objects` people, each with a mask and a skeleton: for timing.
OverlayCase crowd(int objects);

/// A picture of `frame`'s size as bytes: luma rows, then chroma rows, packed.
std::vector<std::uint8_t> packed_nv12(const Frame& frame);

}  // namespace peregrine::output
