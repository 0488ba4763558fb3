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
  const float dx = x1 - x0, dy = y1 - y0;
  const float length2 = dx * dx + dy * dy;
  const float reach = radius + 0.5f;
  const auto clamp_row = [&](float y) {
    return static_cast<int>(
        std::clamp(y, static_cast<float>(rect_.top), static_cast<float>(rect_.bottom)));
  };
  const int last = clamp_row(std::ceil(std::max(y0, y1) + reach));
  for (int y = clamp_row(std::floor(std::min(y0, y1) - reach)); y < last; ++y) {
    const float py = static_cast<float>(y) + 0.5f;
    // Only the stretch of the line within reach of this row can touch it.
    float from = 0, to = 1;
    if (std::abs(dy) > 1e-3f) {
      const float a = (py - reach - y0) / dy, b = (py + reach - y0) / dy;
      from = std::clamp(std::min(a, b), 0.0f, 1.0f);
      to = std::clamp(std::max(a, b), 0.0f, 1.0f);
    }
    const float xa = x0 + from * dx, xb = x0 + to * dx;
    const auto clamp_column = [&](float x) {
      return static_cast<int>(
          std::clamp(x, static_cast<float>(rect_.left), static_cast<float>(rect_.right)));
    };
    const int first_x = clamp_column(std::floor(std::min(xa, xb) - reach));
    const int last_x = clamp_column(std::ceil(std::max(xa, xb) + reach));
    std::uint8_t* alpha = row(y) - rect_.left;
    for (int x = first_x; x < last_x; ++x) {
      const float px = static_cast<float>(x) + 0.5f;
      const float along =
          length2 > 0 ? std::clamp(((px - x0) * dx + (py - y0) * dy) / length2, 0.0f, 1.0f) : 0.0f;
      const float away = std::hypot(px - x0 - along * dx, py - y0 - along * dy);
      const float covered = std::clamp(reach - away, 0.0f, 1.0f);
      alpha[x] = std::max(alpha[x], static_cast<std::uint8_t>(255 * covered + 0.5f));
    }
  }
}

void Coverage::add_mask(const Mask& mask) {
  const PixelRect inside = rect_.intersect({0, 0, mask.width, mask.height});
  if (inside.empty()) return;
  std::int64_t position = 0;  // column-major
  bool ones = false;
  for (const std::uint32_t count : mask.counts) {
    std::int64_t begin = position;
    position += count;
    while (ones && begin < position) {
      const auto x = static_cast<int>(begin / mask.height);
      const auto y = static_cast<int>(begin % mask.height);
      const std::int64_t end = std::min<std::int64_t>(position, begin - y + mask.height);
      if (x >= inside.right) return;
      if (x >= inside.left) {
        const int bottom = std::min(y + static_cast<int>(end - begin), inside.bottom);
        for (int i = std::max(y, inside.top); i < bottom; ++i) row(i)[x - rect_.left] = 255;
      }
      begin = end;
    }
    ones = !ones;
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

void Canvas::paint(const Coverage& coverage, Color color, float opacity) {
  if (coverage.rect().empty()) return;
  const std::array<int, 3> values = components_of(color);
  const auto weight = static_cast<int>(std::lround(256 * std::clamp(opacity, 0.0f, 1.0f)));
  for (int i = 0; i < channel_count_; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const Channel& channel = channels_[index];
    if (channel.halved) {
      paint_halved(channel, coverage, values[index], weight);
    } else if (channel.step == 1) {
      paint_full<1>(channel, coverage, values[index], weight);
    } else {
      paint_full<3>(channel, coverage, values[index], weight);
    }
  }
}

// Weights run to 256, so that full coverage at full opacity leaves nothing of what was there; the
// products then just fit 16 bits, which is what makes this loop eight or sixteen pixels wide.
template <int kStep>
void Canvas::paint_full(const Channel& channel, const Coverage& coverage, int value, int opacity) {
  const PixelRect area = coverage.rect().intersect(bounds());
  for (int y = area.top; y < area.bottom; ++y) {
    const std::uint8_t* alpha = coverage.row(y);
    std::uint8_t* samples =
        channel.data + y * channel.stride + static_cast<std::int64_t>(area.left) * kStep;
    for (int i = 0; i < area.width(); ++i) {
      const unsigned covered = alpha[i] + (alpha[i] >> 7);
      const auto weight = static_cast<std::uint16_t>(covered * static_cast<unsigned>(opacity) >> 8);
      std::uint8_t& sample = samples[static_cast<std::ptrdiff_t>(i) * kStep];
      sample = static_cast<std::uint8_t>(
          static_cast<std::uint16_t>(sample * (256 - weight) + value * weight) >> 8);
    }
  }
}

// A halved sample is covered as far as its four pixels are on average. On an odd edge two of them
// lie outside the picture, where the shape goes on.
void Canvas::paint_halved(const Channel& channel, const Coverage& coverage, int value,
                          int opacity) {
  const PixelRect& area = coverage.rect();
  for (int y = area.top; y < area.bottom; y += 2) {
    const std::uint8_t* upper = coverage.row(y);
    const std::uint8_t* lower = coverage.row(y + 1);
    std::uint8_t* samples = channel.data + (y / 2) * channel.stride +
                            static_cast<std::int64_t>(area.left / 2) * channel.step;
    for (int i = 0; i < area.width(); i += 2) {
      const int sum = upper[i] + upper[i + 1] + lower[i] + lower[i + 1];
      if (sum == 0) continue;
      const int weight = (sum + (sum >> 7)) * opacity >> 10;
      std::uint8_t& sample = samples[static_cast<std::ptrdiff_t>(i / 2) * channel.step];
      sample = static_cast<std::uint8_t>((sample * (256 - weight) + value * weight) >> 8);
    }
  }
}

Frame copy_picture(const Frame& frame, std::shared_ptr<std::vector<std::uint8_t>>& memory) {
  require_host_picture(frame);
  const int planes = plane_count(frame.format);
  std::size_t bytes = 0;
  for (int i = 0; i < planes; ++i) {
    const PlaneSize size = plane_size(frame, i);
    bytes += static_cast<std::size_t>(size.row_bytes) * size.rows;
  }
  if (!memory || memory.use_count() > 1 || memory->size() < bytes) {
    memory = std::make_shared<std::vector<std::uint8_t>>(bytes);
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
