// SPDX-License-Identifier: Apache-2.0
#include "output/coverage.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "output/overlay_pixels.h"

namespace peregrine::output {
namespace {

// The columns between which row `y` (a centre) can be touched: those of the part of the axis that
// is within reach.
std::pair<float, float> columns_of(const StrokeShape& stroke, float y) {
  float from = 0, to = 1;
  if (std::abs(stroke.dy) > 1e-3f) {
    const float above = (y - stroke.reach - stroke.y) / stroke.dy;
    const float below = (y + stroke.reach - stroke.y) / stroke.dy;
    from = std::clamp(std::min(above, below), 0.0f, 1.0f);
    to = std::clamp(std::max(above, below), 0.0f, 1.0f);
  }
  const float a = stroke.x + from * stroke.dx, b = stroke.x + to * stroke.dx;
  return {std::min(a, b) - stroke.reach, std::max(a, b) + stroke.reach};
}

// Reads a mask column by column.
class MaskColumns {
 public:
  explicit MaskColumns(const Mask& mask) : mask_(mask) {}
  // Appends the rows, within [top, bottom], where the ones of column `x` begin and end, in turns.
  // Columns must be asked for in rising order.
  void edges_of(int x, int top, int bottom, std::vector<int>& edges) {
    const std::int64_t first = static_cast<std::int64_t>(x) * mask_.height;
    for (; run_ < mask_.counts.size(); begin_ += mask_.counts[run_++]) {
      const std::int64_t end = begin_ + mask_.counts[run_];
      const auto from = static_cast<int>(std::clamp<std::int64_t>(begin_ - first, top, bottom));
      const auto to = static_cast<int>(std::clamp<std::int64_t>(end - first, top, bottom));
      if (run_ % 2 == 1 && from < to) edges.insert(edges.end(), {from, to});
      if (end >= first + mask_.height) return;  // it reaches into the next column
    }
  }

 private:
  const Mask& mask_;
  std::size_t run_ = 0;
  std::int64_t begin_ = 0;  // of that run
};

}  // namespace

PixelRect PixelRect::intersect(const PixelRect& other) const {
  return {std::max(left, other.left), std::max(top, other.top), std::min(right, other.right),
          std::min(bottom, other.bottom)};
}

void Coverage::reset(const PixelRect& region, const PixelRect& picture) {
  rect_ = region.intersect(picture);
  if (rect_.empty()) {
    rect_ = {};
  } else {
    rect_ = {rect_.left & ~1, rect_.top & ~1, (rect_.right + 1) & ~1, (rect_.bottom + 1) & ~1};
  }
  alpha_.assign(static_cast<std::size_t>(rect_.width()) * rect_.height(), 0);
}

void Coverage::add_rect(const PixelRect& rect) {
  const PixelRect inside = rect.intersect(rect_);
  if (inside.empty()) return;
  for (int y = inside.top; y < inside.bottom; ++y) {
    std::memset(row(y) + (inside.left - rect_.left), 255, static_cast<std::size_t>(inside.width()));
  }
}

void Coverage::add_line(float x0, float y0, float x1, float y1, float radius) {
  const StrokeShape stroke = stroke_shape(x0, y0, x1, y1, radius);
  // Truncation is rounding down: the region has no negative corners.
  const auto within = [](float position, int low, int high) {
    return static_cast<int>(
        std::clamp(position, static_cast<float>(low), static_cast<float>(high)));
  };
  const float reach = stroke.reach;
  const int first = within(std::min(y0, y1) - reach, rect_.top, rect_.bottom);
  const int last = within(std::max(y0, y1) + reach + 1, rect_.top, rect_.bottom);
  for (int y = first; y < last; ++y) {
    const auto [left, right] = columns_of(stroke, static_cast<float>(y) + 0.5f);
    const int from = within(left, rect_.left, rect_.right);
    const int to = within(right + 1, rect_.left, rect_.right);
    std::uint8_t* alpha = row(y) + (from - rect_.left);
    for (int i = 0; i < to - from; ++i) {
      alpha[i] = std::max(alpha[i], stroke_alpha(stroke, from + i, y));
    }
  }
}

// Runs go down the columns, memory goes along the rows. Neighbouring columns differ in few rows, so
// only the rows that turn on or off are visited, and each stretch of a row is filled at once.
void Coverage::add_mask(const Mask& mask) {
  const PixelRect inside = rect_.intersect({0, 0, mask.width, mask.height});
  if (inside.empty()) return;
  const auto turn = [&](int y, int x) {
    int& since = on_since_[static_cast<std::size_t>(y - inside.top)];
    if (since >= 0)
      std::memset(row(y) + (since - rect_.left), 255, static_cast<std::size_t>(x - since));
    since = since >= 0 ? -1 : x;
  };
  on_since_.assign(static_cast<std::size_t>(inside.height()), -1);
  edges_before_.clear();
  MaskColumns columns(mask);
  for (int x = inside.left; x <= inside.right; ++x) {
    edges_.clear();
    if (x < inside.right) columns.edges_of(x, inside.top, inside.bottom, edges_);
    // Rows between an odd and an even one of all edges, old and new, are where the columns differ.
    changes_.resize(edges_.size() + edges_before_.size());
    std::merge(edges_.begin(), edges_.end(), edges_before_.begin(), edges_before_.end(),
               changes_.begin());
    for (std::size_t i = 0; i + 1 < changes_.size(); i += 2) {
      for (int y = changes_[i]; y < changes_[i + 1]; ++y) turn(y, x);
    }
    edges_.swap(edges_before_);
  }
}

void Coverage::add_bitmap(const Plane& bitmap, int width, int height, int left, int top) {
  const PixelRect inside = rect_.intersect({left, top, left + width, top + height});
  for (int y = inside.top; y < inside.bottom; ++y) {
    const std::uint8_t* from = bitmap.data + (y - top) * bitmap.stride - left;
    std::uint8_t* to = row(y) - rect_.left;
    for (int x = inside.left; x < inside.right; ++x) to[x] = std::max(to[x], from[x]);
  }
}

}  // namespace peregrine::output
