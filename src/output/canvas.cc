// SPDX-License-Identifier: Apache-2.0
#include "output/canvas.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

#include "output/overlay_pixels.h"
#include "peregrine/error.h"

namespace peregrine::output {
namespace {

// Encoders and scalers read whole vectors, past the last pixel.
constexpr std::size_t kReadAhead = 64;

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

LumaWeights luma_weights(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt601: return {0.299, 0.587, 0.114};
    case ColorMatrix::kBt709: return {0.2126, 0.7152, 0.0722};
    case ColorMatrix::kBt2020: return {0.2627, 0.6780, 0.0593};
  }
  return {0.2126, 0.7152, 0.0722};
}

std::array<int, 3> components_of(Color color, PixelFormat format, ColorMatrix matrix,
                                 ColorRange range) {
  if (format == PixelFormat::kRgb24) return {color.r, color.g, color.b};
  const LumaWeights weights = luma_weights(matrix);
  const double luma = weights.r * color.r + weights.g * color.g + weights.b * color.b;
  const double cb = (color.b - luma) / (2 * (1 - weights.b));
  const double cr = (color.r - luma) / (2 * (1 - weights.r));
  const bool full = range == ColorRange::kFull || format == PixelFormat::kGray8;
  const auto byte = [](double value) {
    return static_cast<int>(std::clamp(std::lround(value), 0L, 255L));
  };
  if (full) return {byte(luma), byte(128 + cb), byte(128 + cr)};
  return {byte(16 + luma * 219 / 255), byte(128 + cb * 224 / 255), byte(128 + cr * 224 / 255)};
}

int translucency_of(float opacity) {
  return static_cast<int>(std::lround(256 * std::clamp(opacity, 0.0f, 1.0f)));
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

// Weights run to 256, so that full coverage at full opacity leaves nothing of what was there; all
// products fit 16 bits, which makes these loops eight or sixteen samples wide.
void Canvas::paint(const Coverage& coverage, Color color, float opacity) {
  const PixelRect& area = coverage.rect();
  const std::array<int, 3> values = components_of(color, format_, matrix_, range_);
  const auto translucency = static_cast<std::uint16_t>(translucency_of(opacity));
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

void Canvas::paint_levels(std::span<const std::uint8_t> levels, const ColorScale& colors,
                          float opacity) {
  std::array<std::array<std::uint8_t, std::tuple_size_v<ColorScale>>, 3> values;
  for (std::size_t level = 0; level < colors.size(); ++level) {
    const std::array<int, 3> components = components_of(colors[level], format_, matrix_, range_);
    for (std::size_t i = 0; i < 3; ++i) {
      values[i][level] = static_cast<std::uint8_t>(components[i]);
    }
  }
  const int weight = translucency_of(opacity);
  const std::ptrdiff_t stride = (width_ + 1) & ~1;
  for (int i = 0; i < channel_count_; ++i) {
    const Channel& channel = channels_[static_cast<std::size_t>(i)];
    const auto& table = values[static_cast<std::size_t>(i)];
    const int columns = channel.halved ? half_up(width_) : width_;
    const int rows = channel.halved ? half_up(height_) : height_;
    for (int y = 0; y < rows; ++y) {
      std::uint8_t* sample = channel.data + y * channel.stride;
      const std::uint8_t* level = levels.data() + (channel.halved ? 2 * y : y) * stride;
      for (int x = 0; x < columns; ++x, sample += channel.step) {
        const int own = channel.halved ? (level[2 * x] + level[2 * x + 1] + level[2 * x + stride] +
                                          level[2 * x + 1 + stride] + 2) /
                                             4
                                       : level[x];
        *sample = static_cast<std::uint8_t>(
            output::blend(*sample, table[static_cast<std::size_t>(own)], weight));
      }
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

Frame copy_picture(const Frame& frame, std::shared_ptr<std::vector<std::uint8_t>>& memory) {
  require_host_picture(frame);
  const int planes = plane_count(frame.format);
  std::size_t bytes = kReadAhead;
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
