// SPDX-License-Identifier: Apache-2.0
#include "output/overlay_layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "output/text.h"

namespace peregrine::output {
namespace {

constexpr float kMaskOpacity = 0.45f;
constexpr float kLabelOpacity = 0.85f;
// A point the model itself doubts is not drawn.
constexpr float kLeastPointScore = 0.25f;
constexpr Color kUntracked{170, 170, 170};

// COCO's 17 body points: 0 nose, 1-2 eyes, 3-4 ears, 5-6 shoulders, 7-8 elbows, 9-10 wrists,
// 11-12 hips, 13-14 knees, 15-16 ankles; left before right.
constexpr std::array<std::pair<std::size_t, std::size_t>, 18> kBodyEdges = {{{15, 13},
                                                                             {13, 11},
                                                                             {16, 14},
                                                                             {14, 12},
                                                                             {11, 12},
                                                                             {5, 11},
                                                                             {6, 12},
                                                                             {5, 6},
                                                                             {5, 7},
                                                                             {6, 8},
                                                                             {7, 9},
                                                                             {8, 10},
                                                                             {0, 1},
                                                                             {0, 2},
                                                                             {1, 3},
                                                                             {2, 4},
                                                                             {3, 5},
                                                                             {4, 6}}};
constexpr int kBodyPoints = 17;

// Positions farther outside are all alike; this keeps integers and squares in their range.
constexpr float kFar = 1e6f;

int to_pixel(float position) {
  return static_cast<int>(std::lround(std::clamp(position, -kFar, kFar)));
}

bool is_near(float x, float y) { return std::abs(x) < kFar && std::abs(y) < kFar; }

bool is_drawable(const Box& box) {
  return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) &&
         std::isfinite(box.y2);
}

Color color_of(const Detections& found, std::size_t object) {
  if (found.tracks.empty()) return palette_color(found.classes[object]);
  const std::int64_t track = found.tracks[object];
  return track == kNoTrack ? kUntracked : palette_color(track);
}

bool is_visible(const Keypoint& point) {
  return point.score >= kLeastPointScore && is_near(point.x, point.y);
}

std::array<std::pair<float, float>, 4> corners_of(const OrientedBox& box) {
  const float c = std::cos(box.angle), s = std::sin(box.angle);
  const float ux = c * box.width / 2, uy = s * box.width / 2;
  const float vx = -s * box.height / 2, vy = c * box.height / 2;
  return {{{box.cx - ux - vx, box.cy - uy - vy},
           {box.cx + ux - vx, box.cy + uy - vy},
           {box.cx + ux + vx, box.cy + uy + vy},
           {box.cx - ux + vx, box.cy - uy + vy}}};
}

// The pixels that hold `points`, with `margin` around them.
template <typename Points>
PixelRect bounds_of(const Points& points, float margin) {
  Box box{kFar, kFar, -kFar, -kFar};
  for (const auto& [x, y] : points) {
    box = {std::min(box.x1, x), std::min(box.y1, y), std::max(box.x2, x), std::max(box.y2, y)};
  }
  return {to_pixel(std::floor(box.x1 - margin)), to_pixel(std::floor(box.y1 - margin)),
          to_pixel(std::ceil(box.x2 + margin)), to_pixel(std::ceil(box.y2 + margin))};
}

}  // namespace

OverlayLayout::OverlayLayout(const std::vector<std::string>& labels) {
  for (const std::string& label : labels) labels_.push_back(valid_utf8(label));
}

const DisplayList& OverlayLayout::lay_out(const FrameResult& result, int width, int height) {
  list_.clear();
  picture_ = {0, 0, width, height};
  const int side = (width + height) / 2;
  const Pen pen{.line = std::max(2, (3 * side + 500) / 1000), .label = std::max(11, side / 70)};
  if (!result.depth.empty()) list_.depth = &result.depth;
  add_objects(result.detections, pen);
  add_classes(result.classes, pen);
  return list_;
}

// The surest object is drawn last, and labels after everything they might hide under.
void OverlayLayout::add_objects(const Detections& found, const Pen& pen) {
  const auto each = [&](auto&& add) {
    for (std::size_t i = found.size(); i-- > 0;) {
      if (is_drawable(found.boxes[i])) add(i);
    }
  };
  each([&](std::size_t i) {
    if (found.has_mask(i)) add_mask(found, i);
  });
  each([&](std::size_t i) {
    add_outline(found, i, pen);
    add_skeleton(found, i, pen);
  });
  each([&](std::size_t i) { add_label(found, i, pen); });
}

void OverlayLayout::add_mask(const Detections& found, std::size_t object) {
  const Box& box = found.boxes[object];
  list_.add_mask({to_pixel(std::floor(box.x1)), to_pixel(std::floor(box.y1)),
                  to_pixel(std::ceil(box.x2)), to_pixel(std::ceil(box.y2))},
                 found.masks[object], color_of(found, object), kMaskOpacity);
}

void OverlayLayout::add_outline(const Detections& found, std::size_t object, const Pen& pen) {
  const Color color = color_of(found, object);
  if (!found.oriented.empty()) return add_oriented(found.oriented[object], color, pen);
  const Box& box = found.boxes[object];
  const int line = pen.line, outer = line / 2;
  const int left = to_pixel(box.x1) - outer, top = to_pixel(box.y1) - outer;
  const int right = to_pixel(box.x2) + outer, bottom = to_pixel(box.y2) + outer;
  list_.add_rect({left, top, right, top + line}, color);
  list_.add_rect({left, bottom - line, right, bottom}, color);
  list_.add_rect({left, top, left + line, bottom}, color);
  list_.add_rect({right - line, top, right, bottom}, color);
}

void OverlayLayout::add_oriented(const OrientedBox& box, Color color, const Pen& pen) {
  const auto corners = corners_of(box);
  std::array<Stroke, 4> sides;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& [x0, y0] = corners[i];
    const auto& [x1, y1] = corners[(i + 1) % 4];
    if (!is_near(x0, y0)) return;
    sides[i] = {x0, y0, x1, y1, static_cast<float>(pen.line) / 2};
  }
  list_.add_strokes(bounds_of(corners, static_cast<float>(pen.line)), sides, color);
}

void OverlayLayout::add_skeleton(const Detections& found, std::size_t object, const Pen& pen) {
  const std::span<const Keypoint> points = found.keypoints_of(object);
  const auto dot = static_cast<float>(pen.line);
  // Each stroke on its own: the region of a whole body would be nearly empty.
  const auto add = [&](const Keypoint& from, const Keypoint& to, float radius, Color color) {
    if (!is_visible(from) || !is_visible(to)) return;
    const std::array<std::pair<float, float>, 2> ends = {{{from.x, from.y}, {to.x, to.y}}};
    const Stroke stroke{from.x, from.y, to.x, to.y, radius};
    list_.add_strokes(bounds_of(ends, radius + 1), {&stroke, 1}, color);
  };
  if (points.size() == kBodyPoints) {
    const Color color = color_of(found, object);
    for (const auto& [from, to] : kBodyEdges) add(points[from], points[to], dot / 2, color);
  }
  for (const Keypoint& point : points) add(point, point, dot, kWhite);
}

void OverlayLayout::add_label(const Detections& found, std::size_t object, const Pen& pen) {
  const Box& box = found.boxes[object];
  const int left = to_pixel(box.x1) - pen.line / 2, top = to_pixel(box.y1) - pen.line / 2;
  const GlyphAtlas::LineSize text = lay_out_text(label_of(found, object), pen);
  // Above the box where the picture has room, else inside it.
  add_plate(text, left, top >= text.height ? top - text.height : top, color_of(found, object), pen);
}

GlyphAtlas::LineSize OverlayLayout::lay_out_text(const std::string& text, const Pen& pen) {
  pending_ = list_.glyphs.size();
  return atlas_.lay_out(text, pen.label, list_.glyphs);
}

// The background of the text that was laid out last, both moved inside the picture.
void OverlayLayout::add_plate(GlyphAtlas::LineSize text, int left, int top, Color color,
                              const Pen& pen) {
  const int padding = std::max(1, pen.label / 5);
  const int width = text.width + 2 * padding;
  const int x = std::max(0, std::min(left, picture_.right - width));
  const int y = std::max(0, std::min(top, picture_.bottom - text.height));
  const PixelRect plate{x, y, x + width, y + text.height};
  for (std::size_t i = pending_; i < list_.glyphs.size(); ++i) {
    list_.glyphs[i].left += x + padding;
    list_.glyphs[i].top += y;
  }
  list_.add_rect(plate, color, kLabelOpacity);
  list_.add_glyphs(plate, pending_, text_color_on(color));
}

void OverlayLayout::add_classes(const std::vector<ClassScore>& classes, const Pen& pen) {
  int top = 0;
  for (const ClassScore& entry : classes) {
    const GlyphAtlas::LineSize text =
        lay_out_text(fmt::format("{} {:.2f}", name_of(entry.class_id), entry.score), pen);
    add_plate(text, 0, top, palette_color(entry.class_id), pen);
    top += text.height;
  }
}

std::string OverlayLayout::name_of(int class_id) const {
  const auto index = static_cast<std::size_t>(class_id);
  if (class_id >= 0 && index < labels_.size()) return labels_[index];
  return fmt::format("class {}", class_id);
}

std::string OverlayLayout::label_of(const Detections& found, std::size_t object) const {
  const std::string what =
      fmt::format("{} {:.2f}", name_of(found.classes[object]), found.scores[object]);
  if (found.tracks.empty() || found.tracks[object] == kNoTrack) return what;
  return fmt::format("#{} {}", found.tracks[object], what);
}

}  // namespace peregrine::output
