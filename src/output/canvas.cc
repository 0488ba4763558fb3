// SPDX-License-Identifier: Apache-2.0
#include "output/canvas.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::output {
namespace {

int half_up(int size) { return (size + 1) / 2; }

// Bytes in a row and rows of plane `plane`.
struct PlaneSize {
  int row_bytes, rows;
};
PlaneSize plane_size(const Frame& frame, int plane) {
  const int width = frame.info.width, height = frame.info.height;
  switch (frame.format) {
    case PixelFormat::kRgb24: return {3 * width, height};
    case PixelFormat::kYuv420p:
      if (plane > 0) return {half_up(width), half_up(height)};
      break;
    case PixelFormat::kNv12:
      if (plane > 0) return {2 * half_up(width), half_up(height)};
      break;
    default: break;
  }
  return {width, height};
}

// A line of round ends and the pixels it covers.
class Stroke {
 public:
  Stroke(float x, float y, float dx, float dy, float radius)
      : x_(x), y_(y), dx_(dx), dy_(dy), radius_(radius) {
    const float length2 = dx * dx + dy * dy;
    per_length2_ = length2 > 0 ? 1 / length2 : 0;
  }
  // How far from its axis a pixel can be and still be touched.
  float reach() const { return radius_ + 0.5f; }

  // The columns between which row `y` (a centre) can be touched: those of the part of the axis that
  // is within reach.
  std::pair<float, float> columns_of(float y) const {
    float from = 0, to = 1;
    if (std::abs(dy_) > 1e-3f) {
      const float above = (y - reach() - y_) / dy_, below = (y + reach() - y_) / dy_;
      from = std::clamp(std::min(above, below), 0.0f, 1.0f);
      to = std::clamp(std::max(above, below), 0.0f, 1.0f);
    }
    const float a = x_ + from * dx_, b = x_ + to * dx_;
    return {std::min(a, b) - reach(), std::max(a, b) + reach()};
  }

  // Raises `count` coverages from pixel (x, y) on.
  void cover(std::uint8_t* alpha, int x, int y, int count) const {
    const float py = static_cast<float>(y) + 0.5f - y_;
    for (int i = 0; i < count; ++i) {
      const float px = static_cast<float>(x + i) + 0.5f - x_;
      const float along = std::clamp((px * dx_ + py * dy_) * per_length2_, 0.0f, 1.0f);
      const float ax = px - along * dx_, ay = py - along * dy_;
      const float covered = std::clamp(reach() - std::sqrt(ax * ax + ay * ay), 0.0f, 1.0f);
      alpha[i] = std::max(alpha[i], static_cast<std::uint8_t>(255 * covered + 0.5f));
    }
  }

 private:
  float x_, y_, dx_, dy_, radius_, per_length2_;
};

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

void scale(std::uint16_t* weights, int count, std::uint16_t translucency) {
  if (translucency == 256) return;  // it would not fit 16 bits either
  for (int i = 0; i < count; ++i) {
    weights[i] = static_cast<std::uint16_t>(weights[i] * translucency) >> 8;
  }
}

void weights_of_row(const std::uint8_t* alpha, int count, std::uint16_t translucency,
                    std::uint16_t* weights) {
  for (int i = 0; i < count; ++i) {
    weights[i] = static_cast<std::uint16_t>(alpha[i] + (alpha[i] >> 7));
  }
  scale(weights, count, translucency);
}

// A halved sample is covered as far as its four pixels are on average. On an odd edge two of them
// lie outside the picture, where the shape goes on.
void weights_of_pair(const std::uint8_t* upper, const std::uint8_t* lower, int count,
                     std::uint16_t translucency, std::uint16_t* weights) {
  for (int i = 0; i < count; ++i) {
    std::uint16_t above, below;  // two pixels each, in either order
    std::memcpy(&above, upper + 2 * i, 2);
    std::memcpy(&below, lower + 2 * i, 2);
    const auto sum =
        static_cast<std::uint16_t>((above & 0xFF) + (above >> 8) + (below & 0xFF) + (below >> 8));
    weights[i] = static_cast<std::uint16_t>(sum + (sum >> 7)) >> 2;
  }
  scale(weights, count, translucency);
}

template <int kStep>
void blend_samples(std::uint8_t* samples, const std::uint16_t* weights, int count, int value) {
  const auto over = static_cast<std::uint16_t>(value);
  for (int i = 0; i < count; ++i) {
    std::uint8_t& sample = samples[static_cast<std::ptrdiff_t>(i) * kStep];
    // Each step is cut to 16 bits by name: a compiler that finds 32-bit products here has no
    // instruction for them on a plain x86-64.
    const auto rest = static_cast<std::uint16_t>(256 - weights[i]);
    const auto below = static_cast<std::uint16_t>(sample * rest);
    const auto above = static_cast<std::uint16_t>(over * weights[i]);
    sample = static_cast<std::uint8_t>(static_cast<std::uint16_t>(below + above) >> 8);
  }
}

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
  const Stroke stroke(x0, y0, x1 - x0, y1 - y0, radius);
  // Truncation is rounding down: the region has no negative corners.
  const auto within = [](float position, int low, int high) {
    return static_cast<int>(
        std::clamp(position, static_cast<float>(low), static_cast<float>(high)));
  };
  const float reach = stroke.reach();
  const int first = within(std::min(y0, y1) - reach, rect_.top, rect_.bottom);
  const int last = within(std::max(y0, y1) + reach + 1, rect_.top, rect_.bottom);
  for (int y = first; y < last; ++y) {
    const auto [left, right] = stroke.columns_of(static_cast<float>(y) + 0.5f);
    const int from = within(left, rect_.left, rect_.right);
    const int to = within(right + 1, rect_.left, rect_.right);
    stroke.cover(row(y) + (from - rect_.left), from, y, to - from);
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

LumaWeights luma_weights(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt601: return {0.299, 0.587, 0.114};
    case ColorMatrix::kBt709: return {0.2126, 0.7152, 0.0722};
    case ColorMatrix::kBt2020: return {0.2627, 0.6780, 0.0593};
  }
  return {0.2126, 0.7152, 0.0722};
}

void require_host_picture(const Frame& frame) {
  if (frame.device.is_cpu() && !frame.empty() && frame.format != PixelFormat::kP010) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("a picture in format {} on {} cannot be drawn or saved: it must be in host "
                  "memory, in 8-bit samples",
                  to_string(frame.format), to_string(frame.device)));
}

Canvas::Canvas(const Frame& picture)
    : width_(picture.info.width),
      height_(picture.info.height),
      format_(picture.format),
      matrix_(picture.matrix),
      range_(picture.range) {
  require_host_picture(picture);
  const auto channel = [&](std::size_t plane, int offset, int step, bool halved) {
    // The caller grants that its picture may be written.
    channels_[static_cast<std::size_t>(channel_count_++)] = {
        const_cast<std::uint8_t*>(picture.planes[plane].data) + offset,
        picture.planes[plane].stride, step, halved};
  };
  if (format_ == PixelFormat::kRgb24) {
    for (int i = 0; i < 3; ++i) channel(0, i, 3, false);
    return;
  }
  channel(0, 0, 1, false);
  if (format_ == PixelFormat::kNv12) {
    channel(1, 0, 2, true);
    channel(1, 1, 2, true);
  } else if (format_ != PixelFormat::kGray8) {
    const bool halved = format_ == PixelFormat::kYuv420p;
    channel(1, 0, 1, halved);
    channel(2, 0, 1, halved);
  }
}

std::array<int, 3> Canvas::components_of(Color color) const {
  if (format_ == PixelFormat::kRgb24) return {color.r, color.g, color.b};
  const LumaWeights weights = luma_weights(matrix_);
  const double luma = weights.r * color.r + weights.g * color.g + weights.b * color.b;
  const double cb = (color.b - luma) / (2 * (1 - weights.b));
  const double cr = (color.r - luma) / (2 * (1 - weights.r));
  const bool full = range_ == ColorRange::kFull || format_ == PixelFormat::kGray8;
  const auto byte = [](double value) {
    return static_cast<int>(std::clamp(std::lround(value), 0L, 255L));
  };
  if (full) return {byte(luma), byte(128 + cb), byte(128 + cr)};
  return {byte(16 + luma * 219 / 255), byte(128 + cb * 224 / 255), byte(128 + cr * 224 / 255)};
}

// Weights run to 256, so that full coverage at full opacity leaves nothing of what was there; all
// products fit 16 bits, which makes these loops eight or sixteen samples wide.
void Canvas::paint(const Coverage& coverage, Color color, float opacity) {
  const PixelRect& area = coverage.rect();
  const std::array<int, 3> values = components_of(color);
  const auto translucency =
      static_cast<std::uint16_t>(std::lround(256 * std::clamp(opacity, 0.0f, 1.0f)));
  weights_.resize(static_cast<std::size_t>(area.width()));
  const bool halved = channels_[1].halved;
  for (int y = area.top; y < area.bottom; ++y) {
    if (y < height_) {
      weights_of_row(coverage.row(y), area.width(), translucency, weights_.data());
      const int count = std::min(area.right, width_) - area.left;
      for (int i = 0; i < (halved ? 1 : channel_count_); ++i) {
        blend(channels_[static_cast<std::size_t>(i)], area.left, y, count,
              values[static_cast<std::size_t>(i)]);
      }
    }
    if (halved && y % 2 == 0) {
      weights_of_pair(coverage.row(y), coverage.row(y + 1), area.width() / 2, translucency,
                      weights_.data());
      blend(channels_[1], area.left / 2, y / 2, area.width() / 2, values[1]);
      blend(channels_[2], area.left / 2, y / 2, area.width() / 2, values[2]);
    }
  }
}

// Blends `value` into `count` samples from (x, y) of the channel on, by `weights_`.
void Canvas::blend(const Channel& channel, int x, int y, int count, int value) const {
  std::uint8_t* samples =
      channel.data + y * channel.stride + static_cast<std::int64_t>(x) * channel.step;
  switch (channel.step) {
    case 1: blend_samples<1>(samples, weights_.data(), count, value); break;
    case 2: blend_samples<2>(samples, weights_.data(), count, value); break;
    default: blend_samples<3>(samples, weights_.data(), count, value); break;
  }
}

// Encoders and scalers read whole vectors, past the last pixel.
constexpr std::size_t kReadAhead = 64;

Frame copy_picture(const Frame& frame, std::shared_ptr<std::vector<std::uint8_t>>& memory) {
  require_host_picture(frame);
  const int planes = plane_count(frame.format);
  std::size_t bytes = 0;
  for (int i = 0; i < planes; ++i) {
    const PlaneSize size = plane_size(frame, i);
    bytes += static_cast<std::size_t>(size.row_bytes) * size.rows;
  }
  if (!memory || memory.use_count() > 1 || memory->size() < bytes) {
    memory = std::make_shared<std::vector<std::uint8_t>>(bytes + kReadAhead);
  }
  Frame copy = frame;
  copy.storage = memory;
  std::uint8_t* to = memory->data();
  for (int i = 0; i < planes; ++i) {
    const PlaneSize size = plane_size(frame, i);
    Plane& plane = copy.planes[static_cast<std::size_t>(i)];
    const std::uint8_t* from = plane.data;
    const std::int64_t stride = plane.stride;
    plane = {to, size.row_bytes};
    for (int y = 0; y < size.rows; ++y, from += stride, to += size.row_bytes) {
      std::memcpy(to, from, static_cast<std::size_t>(size.row_bytes));
    }
  }
  return copy;
}

}  // namespace peregrine::output
