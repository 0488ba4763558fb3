// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "output/canvas.h"
#include "output/label_text.h"
#include "peregrine/detections.h"

namespace peregrine::output {

/// Draws answers on pictures: masks, boxes (or oriented boxes), skeletons, and labels with class,
/// score and track id; the top classes of a classification in the corner; depth as a scale of
/// colours, far dark and near bright where the model gives inverse depth. Lines and letters grow
/// with the picture. Keeps its scratch memory; use one a stream, from one thread at a time.
class OverlayRenderer {
 public:
  explicit OverlayRenderer(const std::vector<std::string>& labels);

  /// A copy of the host picture `frame` with `result` drawn on it, in the same format and colour
  /// space. Throws `Error(kInvalidArgument)` for a picture that is not on the host.
  Frame render(const Frame& frame, const FrameResult& result);

 private:
  // Sizes for one picture.
  struct Pen {
    int line;   // width
    int label;  // size of the letters
  };

  void draw_depth(Canvas& canvas, const DepthMap& depth);
  void draw_objects(Canvas& canvas, const Detections& found, const Pen& pen);
  void draw_mask(Canvas& canvas, const Detections& found, std::size_t object);
  void draw_outline(Canvas& canvas, const Detections& found, std::size_t object, const Pen& pen);
  void draw_skeleton(Canvas& canvas, const Detections& found, std::size_t object, const Pen& pen);
  void draw_plate(Canvas& canvas, const LabelText::Bitmap& text, int left, int top, Color color,
                  const Pen& pen);
  void draw_classes(Canvas& canvas, const std::vector<ClassScore>& classes, const Pen& pen);
  std::string name_of(int class_id) const;
  std::string label_of(const Detections& found, std::size_t object) const;

  std::vector<std::string> labels_;
  LabelText text_;
  Coverage coverage_;
  std::vector<std::uint8_t> levels_;  // scratch of draw_depth
  std::shared_ptr<std::vector<std::uint8_t>> picture_;
};

/// `OverlayRenderer::render` for a single picture.
Frame render_overlay(const Frame& frame, const FrameResult& result,
                     const std::vector<std::string>& labels);

}  // namespace peregrine::output
