// SPDX-License-Identifier: Apache-2.0
#include "output/overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "output/depth_picture.h"
#include "output/text.h"

namespace peregrine::output {
namespace {

constexpr float kMaskOpacity = 0.45f;
constexpr float kLabelOpacity = 0.85f;
constexpr float kDepthOpacity = 0.7f;  // contours of the picture stay to be seen
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

OverlayRenderer::OverlayRenderer(const std::vector<std::string>& labels) {
  for (const std::string& label : labels) labels_.push_back(valid_utf8(label));
}

Frame OverlayRenderer::render(const Frame& frame, const FrameResult& result) {
  Frame drawn = copy_picture(frame, picture_);
  Canvas canvas(drawn);
  const int side = (frame.info.width + frame.info.height) / 2;
  const Pen pen{.line = std::max(2, (3 * side + 500) / 1000), .label = std::max(11, side / 70)};
  if (!result.depth.empty()) draw_depth(canvas, result.depth);
  draw_objects(canvas, result.detections, pen);
  draw_classes(canvas, result.classes, pen);
  return drawn;
}

void OverlayRenderer::draw_depth(Canvas& canvas, const DepthMap& depth) {
  const int width = canvas.bounds().width(), height = canvas.bounds().height();
  DepthRows rows(depth, width, height);
  levels_.clear();
  for (int y = 0; y < height + height % 2; ++y) {  // the last row and column again, to even sides
    for (const float value : rows.row(std::min(y, height - 1))) {
      levels_.push_back(static_cast<std::uint8_t>(255 * value + 0.5f));
    }
    if (width % 2 == 1) levels_.push_back(levels_.back());
  }
  canvas.paint_levels(levels_, heat_scale(), kDepthOpacity);
}

// The surest object is drawn last, and labels after everything they might hide under.
void OverlayRenderer::draw_objects(Canvas& canvas, const Detections& found, const Pen& pen) {
  const auto each = [&](auto&& draw) {
    for (std::size_t i = found.size(); i-- > 0;) {
      if (is_drawable(found.boxes[i])) draw(i);
    }
  };
  if (!found.masks.empty()) each([&](std::size_t i) { draw_mask(canvas, found, i); });
  each([&](std::size_t i) {
    draw_outline(canvas, found, i, pen);
    draw_skeleton(canvas, found, i, pen);
  });
  each([&](std::size_t i) {
    const Box& box = found.boxes[i];
    const int left = to_pixel(box.x1) - pen.line / 2, top = to_pixel(box.y1) - pen.line / 2;
    const LabelText::Bitmap text = text_.render(label_of(found, i), pen.label);
    // Above the box where the picture has room, else inside it.
    draw_plate(canvas, text, left, top >= text.height ? top - text.height : top, color_of(found, i),
               pen);
  });
}

void OverlayRenderer::draw_mask(Canvas& canvas, const Detections& found, std::size_t object) {
  const Mask& mask = found.masks[object];
  const Box& box = found.boxes[object];
  coverage_.reset({to_pixel(std::floor(box.x1)), to_pixel(std::floor(box.y1)),
                   to_pixel(std::ceil(box.x2)), to_pixel(std::ceil(box.y2))},
                  canvas.bounds());
  coverage_.add_mask(mask);
  canvas.paint(coverage_, color_of(found, object), kMaskOpacity);
}

void OverlayRenderer::draw_outline(Canvas& canvas, const Detections& found, std::size_t object,
                                   const Pen& pen) {
  const Color color = color_of(found, object);
  if (!found.oriented.empty()) {
    const auto corners = corners_of(found.oriented[object]);
    for (const auto& [x, y] : corners) {
      if (!is_near(x, y)) return;
    }
    coverage_.reset(bounds_of(corners, static_cast<float>(pen.line)), canvas.bounds());
    for (std::size_t i = 0; i < 4; ++i) {
      const auto& [x0, y0] = corners[i];
      const auto& [x1, y1] = corners[(i + 1) % 4];
      coverage_.add_line(x0, y0, x1, y1, static_cast<float>(pen.line) / 2);
    }
    canvas.paint(coverage_, color);
    return;
  }
  const Box& box = found.boxes[object];
  const int line = pen.line, outer = line / 2;
  const int left = to_pixel(box.x1) - outer, top = to_pixel(box.y1) - outer;
  const int right = to_pixel(box.x2) + outer, bottom = to_pixel(box.y2) + outer;
  for (const PixelRect& side :
       {PixelRect{left, top, right, top + line}, PixelRect{left, bottom - line, right, bottom},
        PixelRect{left, top, left + line, bottom}, PixelRect{right - line, top, right, bottom}}) {
    coverage_.reset(side, canvas.bounds());
    coverage_.add_rect(side);
    canvas.paint(coverage_, color);
  }
}

void OverlayRenderer::draw_skeleton(Canvas& canvas, const Detections& found, std::size_t object,
                                    const Pen& pen) {
  const std::span<const Keypoint> points = found.keypoints_of(object);
  const auto dot = static_cast<float>(pen.line);
  // Each stroke on its own: the region of a whole body would be nearly empty.
  const auto stroke = [&](const Keypoint& from, const Keypoint& to, float radius, Color color) {
    if (!is_visible(from) || !is_visible(to)) return;
    const std::array<std::pair<float, float>, 2> ends = {{{from.x, from.y}, {to.x, to.y}}};
    coverage_.reset(bounds_of(ends, radius + 1), canvas.bounds());
    coverage_.add_line(from.x, from.y, to.x, to.y, radius);
    canvas.paint(coverage_, color);
  };
  if (points.size() == kBodyPoints) {
    const Color color = color_of(found, object);
    for (const auto& [from, to] : kBodyEdges) stroke(points[from], points[to], dot / 2, color);
  }
  for (const Keypoint& point : points) stroke(point, point, dot, kWhite);
}

// A label with its background, moved inside the picture.
void OverlayRenderer::draw_plate(Canvas& canvas, const LabelText::Bitmap& text, int left, int top,
                                 Color color, const Pen& pen) {
  const int padding = std::max(1, pen.label / 5);
  const int width = text.width + 2 * padding, height = text.height;
  const PixelRect picture = canvas.bounds();
  const int x = std::max(0, std::min(left, picture.right - width));
  const int y = std::max(0, std::min(top, picture.bottom - height));
  const PixelRect plate{x, y, x + width, y + height};
  coverage_.reset(plate, picture);
  coverage_.add_rect(plate);
  canvas.paint(coverage_, color, kLabelOpacity);
  coverage_.reset(plate, picture);
  coverage_.add_bitmap(text.coverage, text.width, text.height, x + padding, y);
  canvas.paint(coverage_, text_color_on(color));
}

void OverlayRenderer::draw_classes(Canvas& canvas, const std::vector<ClassScore>& classes,
                                   const Pen& pen) {
  int top = 0;
  for (const ClassScore& entry : classes) {
    const LabelText::Bitmap text =
        text_.render(fmt::format("{} {:.2f}", name_of(entry.class_id), entry.score), pen.label);
    draw_plate(canvas, text, 0, top, palette_color(entry.class_id), pen);
    top += text.height;
  }
}

std::string OverlayRenderer::name_of(int class_id) const {
  const auto index = static_cast<std::size_t>(class_id);
  if (class_id >= 0 && index < labels_.size()) return labels_[index];
  return fmt::format("class {}", class_id);
}

std::string OverlayRenderer::label_of(const Detections& found, std::size_t object) const {
  const std::string what =
      fmt::format("{} {:.2f}", name_of(found.classes[object]), found.scores[object]);
  if (found.tracks.empty() || found.tracks[object] == kNoTrack) return what;
  return fmt::format("#{} {}", found.tracks[object], what);
}

Frame render_overlay(const Frame& frame, const FrameResult& result,
                     const std::vector<std::string>& labels) {
  return OverlayRenderer(labels).render(frame, result);
}

}  // namespace peregrine::output
