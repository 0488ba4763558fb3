// SPDX-License-Identifier: Apache-2.0
#include "video/synth/truth.h"

#include <algorithm>

namespace peregrine::synth {
namespace {

/// What the canvas shows of one actor.
struct Seen {
  Rect box{1 << 30, 1 << 30, -1, -1};
  std::int64_t pixels = 0;
};

void look(const std::vector<Shown>& shown, const Canvas& canvas, std::vector<Seen>& seen) {
  seen.assign(shown.size() + 1, {});
  for (int y = 0; y < canvas.height(); ++y) {
    const std::uint16_t* owners = canvas.owners(y);
    for (int x = 0; x < canvas.width();) {
      const std::uint16_t owner = owners[x];
      const int start = x;
      while (x < canvas.width() && owners[x] == owner) ++x;
      if (owner == Canvas::kNobody) continue;
      Seen& s = seen[owner];
      s.pixels += x - start;
      s.box = {std::min(s.box.x0, start), std::min(s.box.y0, y), std::max(s.box.x1, x),
               std::max(s.box.y1, y + 1)};
    }
  }
}

/// Run lengths in column-major order, the first run counting zeros.
class RunWriter {
 public:
  void put(bool inside, std::uint32_t pixels) {
    if (pixels == 0) return;
    if (inside != inside_) {
      counts_.push_back(run_);
      run_ = 0;
      inside_ = inside;
    }
    run_ += pixels;
  }
  std::vector<std::uint32_t> finish() {
    counts_.push_back(run_);
    return std::move(counts_);
  }

 private:
  std::vector<std::uint32_t> counts_;
  std::uint32_t run_ = 0;
  bool inside_ = false;
};

Mask mask_of(const Canvas& canvas, std::uint16_t owner, Rect box) {
  Mask mask;
  mask.width = canvas.width();
  mask.height = canvas.height();
  const auto pixels = [](int columns, int rows) {
    return static_cast<std::uint32_t>(columns) * static_cast<std::uint32_t>(rows);
  };
  RunWriter runs;
  runs.put(false, pixels(box.x0, mask.height));
  for (int x = box.x0; x < box.x1; ++x) {
    runs.put(false, pixels(1, box.y0));
    for (int y = box.y0; y < box.y1; ++y) runs.put(canvas.owners(y)[x] == owner, 1);
    runs.put(false, pixels(1, mask.height - box.y1));
  }
  runs.put(false, pixels(mask.width - box.x1, mask.height));
  mask.counts = runs.finish();
  return mask;
}

void mark_body(const Shown& shown, std::uint16_t owner, const Canvas& canvas, const Camera& camera,
               double seconds, SynthObject& object) {
  std::array<BodyPoint, 17> points;
  object.has_keypoints = shown.actor->keypoints(camera, seconds, points);
  if (!object.has_keypoints || object.area < kMinMarkedArea) return;
  for (std::size_t k = 0; k < points.size(); ++k) {
    SynthKeypoint& out = object.keypoints[k];
    out = {};
    const Point p = points[k].place;
    const int x = static_cast<int>(std::floor(p.x)), y = static_cast<int>(std::floor(p.y));
    if (x < 0 || y < 0 || x >= canvas.width() || y >= canvas.height()) continue;
    const bool uncovered = canvas.owners(y)[x] == owner;
    const bool within = p.x >= object.box.x1 && p.x <= object.box.x2 && p.y >= object.box.y1 &&
                        p.y <= object.box.y2;
    if (!uncovered && !within) continue;
    const bool seen = uncovered && !points[k].hidden_by_self;
    out = {static_cast<float>(p.x), static_cast<float>(p.y),
           seen ? Visibility::kVisible : Visibility::kOccluded};
  }
}

void measure_depth(const std::vector<Shown>& shown, const Canvas& canvas,
                   std::vector<float>& depth) {
  depth.resize(static_cast<std::size_t>(canvas.width()) *
               static_cast<std::size_t>(canvas.height()));
  std::size_t i = 0;
  for (int y = 0; y < canvas.height(); ++y) {
    const std::uint16_t* owners = canvas.owners(y);
    for (int x = 0; x < canvas.width(); ++x, ++i) {
      depth[i] = owners[x] == Canvas::kNobody ? canvas.backdrop_depth(x, y)
                                              : static_cast<float>(shown[owners[x] - 1u].depth);
    }
  }
}

}  // namespace

void observe(const std::vector<Shown>& shown, const Canvas& canvas, const Camera& camera,
             double seconds, TruthParts parts, SynthTruth& truth) {
  std::vector<Seen> seen;
  look(shown, canvas, seen);
  truth.objects.clear();
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const Seen& visible = seen[i + 1];
    if (visible.pixels == 0) continue;
    const Shown& s = shown[i];
    const auto owner = static_cast<std::uint16_t>(i + 1);
    SynthObject object;
    object.class_id = s.actor->class_id();
    object.id = s.id;
    object.box = {static_cast<float>(visible.box.x0), static_cast<float>(visible.box.y0),
                  static_cast<float>(visible.box.x1), static_cast<float>(visible.box.y1)};
    object.area = visible.pixels;
    // What the border cuts off is not drawn: its share of the extent stands for its share of
    // pixels.
    Extent inside = s.extent;
    inside.x0 = std::max(inside.x0, 0.0), inside.y0 = std::max(inside.y0, 0.0);
    inside.x1 = std::min(inside.x1, static_cast<double>(canvas.width()));
    inside.y1 = std::min(inside.y1, static_cast<double>(canvas.height()));
    const double in_picture = s.extent.area() > 0 ? inside.area() / s.extent.area() : 1;
    object.visible_fraction = in_picture * static_cast<double>(visible.pixels) /
                              static_cast<double>(std::max<std::int64_t>(s.covered, 1));
    object.distance = s.depth;
    object.ignore = object.visible_fraction < kMinVisibleFraction ||
                    object.box.width() < kMinVisibleSide || object.box.height() < kMinVisibleSide;
    mark_body(s, owner, canvas, camera, seconds, object);
    if (parts.masks) object.mask = mask_of(canvas, owner, visible.box);
    truth.objects.push_back(std::move(object));
  }
  std::sort(truth.objects.begin(), truth.objects.end(),
            [](const SynthObject& a, const SynthObject& b) { return a.id < b.id; });
  truth.depth.clear();
  if (parts.depth) measure_depth(shown, canvas, truth.depth);
}

FrameResult to_result(const SynthTruth& truth) {
  FrameResult result;
  result.frame = truth.frame;
  Detections& d = result.detections;
  d.keypoints_per_object = 17;
  for (const SynthObject& object : truth.objects) {
    if (object.ignore) continue;
    d.boxes.push_back(object.box);
    d.scores.push_back(1);
    d.classes.push_back(static_cast<int>(object.class_id));
    d.tracks.push_back(object.id);
    for (const SynthKeypoint& k : object.keypoints) {
      d.keypoints.push_back(
          {k.x, k.y, object.has_keypoints ? 0.5f * static_cast<float>(k.visibility) : 0});
    }
    if (!object.mask.counts.empty()) d.masks.push_back(object.mask);
  }
  if (d.masks.size() != d.size()) d.masks.clear();
  return result;
}

}  // namespace peregrine::synth
