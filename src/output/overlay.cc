// SPDX-License-Identifier: Apache-2.0
#include "output/overlay.h"

namespace peregrine::output {

Frame OverlayRenderer::render(const Frame& frame, const FrameResult& result) {
  Frame drawn = copy_picture(frame, picture_);
  Canvas canvas(drawn);
  const DisplayList& list = layout_.lay_out(result, frame.info.width, frame.info.height);
  draw(list, layout_.atlas(), canvas, scratch_);
  return drawn;
}

Frame render_overlay(const Frame& frame, const FrameResult& result,
                     const std::vector<std::string>& labels) {
  return OverlayRenderer(labels).render(frame, result);
}

}  // namespace peregrine::output
