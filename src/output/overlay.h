// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "output/display_list.h"
#include "output/overlay_layout.h"
#include "peregrine/detections.h"

namespace peregrine::output {

/// Draws answers on host pictures, as `OverlayLayout` lays them out. Keeps its scratch memory; use
/// one a stream, from one thread at a time.
class OverlayRenderer {
 public:
  explicit OverlayRenderer(const std::vector<std::string>& labels) : layout_(labels) {}

  /// A copy of the host picture `frame` with `result` drawn on it, in the same format and colour
  /// space. Throws `Error(kInvalidArgument)` for a picture that is not on the host.
  Frame render(const Frame& frame, const FrameResult& result);

 private:
  OverlayLayout layout_;
  DrawScratch scratch_;
  std::shared_ptr<std::vector<std::uint8_t>> picture_;
};

/// `OverlayRenderer::render` for a single picture.
Frame render_overlay(const Frame& frame, const FrameResult& result,
                     const std::vector<std::string>& labels);

}  // namespace peregrine::output
