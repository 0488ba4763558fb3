// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "output/display_list.h"
#include "output/glyph_atlas.h"
#include "peregrine/detections.h"

namespace peregrine::output {

/// What of an answer is drawn, where and in which colour: masks, boxes (or oriented boxes),
/// skeletons, and labels with class, score and track id; the top classes of a classification in the
/// corner; depth under all of it. Lines and letters grow with the picture. Use one a stream, from
/// one thread at a time.
class OverlayLayout {
 public:
  explicit OverlayLayout(const std::vector<std::string>& labels);

  /// Valid until the next call, and as long as `result` is.
  const DisplayList& lay_out(const FrameResult& result, int width, int height);
  /// Of the list's letters.
  std::span<const std::uint8_t> atlas() const { return atlas_.pixels(); }

 private:
  // Sizes for one picture.
  struct Pen {
    int line;   // width
    int label;  // size of the letters
  };

  void add_objects(const Detections& found, const Pen& pen);
  void add_mask(const Detections& found, std::size_t object);
  void add_outline(const Detections& found, std::size_t object, const Pen& pen);
  void add_oriented(const OrientedBox& box, Color color, const Pen& pen);
  void add_skeleton(const Detections& found, std::size_t object, const Pen& pen);
  void add_label(const Detections& found, std::size_t object, const Pen& pen);
  void add_classes(const std::vector<ClassScore>& classes, const Pen& pen);
  GlyphAtlas::LineSize lay_out_text(const std::string& text, const Pen& pen);
  void add_plate(GlyphAtlas::LineSize text, int left, int top, Color color, const Pen& pen);
  std::string name_of(int class_id) const;
  std::string label_of(const Detections& found, std::size_t object) const;

  std::vector<std::string> labels_;
  GlyphAtlas atlas_;
  DisplayList list_;
  std::size_t pending_ = 0;  // first glyph of the text that was laid out last
  PixelRect picture_;
};

}  // namespace peregrine::output
