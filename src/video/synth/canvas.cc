// SPDX-License-Identifier: Apache-2.0
#include "video/synth/canvas.h"

#include <algorithm>
#include <cmath>

#include "video/synth/random.h"

namespace peregrine::synth {
namespace {

constexpr int kNoiseSize = 1 << 16;
constexpr int kNoisePeak = 64;

/// x / 255 for 0 <= x <= 65535, rounded.
inline std::uint32_t over255(std::uint32_t x) { return (x + 128 + ((x + 128) >> 8)) >> 8; }

}  // namespace

Canvas::Canvas(int width, int height) : width_(width), height_(height) {
  const std::size_t pixels = row(height);
  for (Row& plane : planes_) plane.resize(pixels);
  owners_.resize(pixels);
  for (Row& line : scratch_) line.resize(static_cast<std::size_t>(width) + 2);
  make_noise();
}

void Canvas::make_noise() {
  noise_.resize(kNoiseSize + static_cast<std::size_t>(width_));
  Rng rng(0x6e6f697365);
  for (std::int8_t& n : noise_) {
    n = static_cast<std::int8_t>(std::clamp(rng.normal() / 3.0, -1.0, 1.0) * kNoisePeak);
  }
}

void Canvas::begin(const Background& background, Point shake) {
  background_ = &background;
  // The camera moves right when the picture moves left.
  const int x16 = static_cast<int>(std::lround((background.margin - shake.x) * 16));
  const int y16 = static_cast<int>(std::lround((background.margin - shake.y) * 16));
  whole_x_ = x16 >> 4, whole_y_ = y16 >> 4;
  part_x_ = x16 & 15, part_y_ = y16 & 15;
  shift_plane(background.red, background.width, planes_[0]);
  shift_plane(background.green, background.width, planes_[1]);
  shift_plane(background.blue, background.width, planes_[2]);
  std::fill(owners_.begin(), owners_.end(), kNobody);
}

void Canvas::shift_plane(const Row& from, int from_width, Row& to) const {
  const auto fx = static_cast<std::uint16_t>(part_x_), fy = static_cast<std::uint16_t>(part_y_);
  const auto w00 = static_cast<std::uint16_t>((16 - fx) * (16 - fy));
  const auto w01 = static_cast<std::uint16_t>(fx * (16 - fy));
  const auto w10 = static_cast<std::uint16_t>((16 - fx) * fy);
  const auto w11 = static_cast<std::uint16_t>(fx * fy);
  for (int y = 0; y < height_; ++y) {
    const std::uint8_t* a =
        &from[static_cast<std::size_t>(y + whole_y_) * static_cast<std::size_t>(from_width) +
              static_cast<std::size_t>(whole_x_)];
    const std::uint8_t* b = a + from_width;
    std::uint8_t* out = &to[row(y)];
    for (int x = 0; x < width_; ++x) {
      const auto sum = static_cast<std::uint16_t>(a[x] * w00 + a[x + 1] * w01 + b[x] * w10 +
                                                  b[x + 1] * w11 + 128);
      out[x] = static_cast<std::uint8_t>(sum >> 8);
    }
  }
}

float Canvas::backdrop_depth(int x, int y) const {
  return background_->depth[static_cast<std::size_t>(y + whole_y_) *
                                static_cast<std::size_t>(background_->width) +
                            static_cast<std::size_t>(x + whole_x_)];
}

std::int64_t Canvas::stamp(const Painter& layer, Rect rect, const Stamp& stamp) {
  const auto q8 = [](double v) {
    return static_cast<std::uint32_t>(std::clamp(v, 0.0, 1.6) * 256);
  };
  const double clear = 1 - stamp.haze_amount;
  const std::uint32_t gain[3] = {q8(stamp.light.r * clear), q8(stamp.light.g * clear),
                                 q8(stamp.light.b * clear)};
  const std::uint32_t haze[3] = {q8(stamp.haze.r * stamp.haze_amount),
                                 q8(stamp.haze.g * stamp.haze_amount),
                                 q8(stamp.haze.b * stamp.haze_amount)};
  const auto depth = static_cast<float>(stamp.depth);
  const bool behind_props = background_->nearest_prop < depth;
  std::int64_t covered = 0;
  for (int y = rect.y0; y < rect.y1; ++y) {
    const std::uint32_t* source = layer.row(y);
    std::uint8_t* red = &planes_[0][row(y)];
    std::uint8_t* green = &planes_[1][row(y)];
    std::uint8_t* blue = &planes_[2][row(y)];
    std::uint16_t* owner = &owners_[row(y)];
    const std::size_t behind =
        static_cast<std::size_t>(y + whole_y_) * static_cast<std::size_t>(background_->width) +
        static_cast<std::size_t>(whole_x_);
    for (int x = rect.x0; x < rect.x1; ++x) {
      const std::uint32_t pixel = source[x];
      std::uint32_t alpha = pixel >> 24;
      if (alpha == 0) continue;
      covered += alpha >= 128;
      std::uint32_t show = 256;
      if (behind_props) {
        const std::size_t i = behind + static_cast<std::size_t>(x);
        if (background_->prop_depth[i] < depth)
          show = 256 - background_->prop_alpha[i] - (background_->prop_alpha[i] >> 7);
        if (show == 0) continue;
      }
      const auto lay = [&](std::uint8_t& under, std::uint32_t value, int channel) {
        const std::uint32_t lit =
            std::min((value * gain[channel] + alpha * haze[channel]) >> 8, alpha);
        const std::uint32_t mixed = lit + over255(under * (255 - alpha));
        under = static_cast<std::uint8_t>((under * (256 - show) + mixed * show) >> 8);
      };
      lay(red[x], (pixel >> 16) & 255, 0);
      lay(green[x], (pixel >> 8) & 255, 1);
      lay(blue[x], pixel & 255, 2);
      alpha = alpha * show >> 8;
      if (alpha >= 128) owner[x] = stamp.id;
    }
  }
  return covered;
}

void Canvas::darken(Point center, double rx, double ry, double slant, double strength) {
  const int y0 = std::max(0, static_cast<int>(center.y - ry)),
            y1 = std::min(height_, static_cast<int>(center.y + ry) + 1);
  for (int y = y0; y < y1; ++y) {
    const double v = (y + 0.5 - center.y) / ry;
    const double half = rx * std::sqrt(std::max(0.0, 1 - v * v));
    const double middle = center.x + slant * (y + 0.5 - center.y);
    const int x0 = static_cast<int>(std::clamp(middle - half, 0.0, static_cast<double>(width_)));
    const int x1 = static_cast<int>(std::clamp(middle + half, 0.0, static_cast<double>(width_)));
    for (int x = x0; x < x1; ++x) {
      const double u = (x + 0.5 - middle) / rx;
      const double fade = std::clamp((1 - u * u - v * v) * 2.0, 0.0, 1.0);
      const auto keep = static_cast<std::uint32_t>(256 * (1 - strength * fade));
      for (Row& plane : planes_) {
        std::uint8_t& p = plane[row(y) + static_cast<std::size_t>(x)];
        p = static_cast<std::uint8_t>(p * keep >> 8);
      }
    }
  }
}

void Canvas::lighten(Point center, double rx, double ry, Color light) {
  const int y0 = std::max(0, static_cast<int>(center.y - ry)),
            y1 = std::min(height_, static_cast<int>(center.y + ry) + 1);
  const int x0 = static_cast<int>(std::clamp(center.x - rx, 0.0, static_cast<double>(width_)));
  const int x1 = static_cast<int>(std::clamp(center.x + rx + 1, 0.0, static_cast<double>(width_)));
  const double channels[3] = {light.r, light.g, light.b};
  for (int y = y0; y < y1; ++y) {
    const double v = (y + 0.5 - center.y) / ry;
    for (int x = x0; x < x1; ++x) {
      const double u = (x + 0.5 - center.x) / rx;
      const double fade = 1 - u * u - v * v;
      if (fade <= 0) continue;
      for (int c = 0; c < 3; ++c) {
        std::uint8_t& p = planes_[c][row(y) + static_cast<std::size_t>(x)];
        p = static_cast<std::uint8_t>(std::min(255.0, p + 255 * channels[c] * fade * fade));
      }
    }
  }
}

void Canvas::blur_plane(Row& plane, int weight) {
  // Rows first, in place through a copy of the row; then columns, keeping the row above as it was.
  const auto side = static_cast<std::uint16_t>(weight),
             middle = static_cast<std::uint16_t>(256 - 2 * weight);
  std::uint8_t* line = scratch_[0].data();
  for (int y = 0; y < height_; ++y) {
    std::uint8_t* p = &plane[row(y)];
    std::copy(p, p + width_, line + 1);
    line[0] = line[1], line[width_ + 1] = line[width_];
    for (int x = 0; x < width_; ++x) {
      p[x] = static_cast<std::uint8_t>(
          (side * (line[x] + line[x + 2]) + middle * line[x + 1] + 128) >> 8);
    }
  }
  std::uint8_t* above = scratch_[1].data();
  std::uint8_t* here = scratch_[2].data();
  std::copy(plane.begin(), plane.begin() + width_, above);
  for (int y = 0; y < height_; ++y) {
    std::uint8_t* p = &plane[row(y)];
    const std::uint8_t* below = &plane[row(std::min(y + 1, height_ - 1))];
    std::copy(p, p + width_, here);
    for (int x = 0; x < width_; ++x) {
      p[x] =
          static_cast<std::uint8_t>((side * (above[x] + below[x]) + middle * here[x] + 128) >> 8);
    }
    std::swap(above, here);
  }
}

void Canvas::develop(double blur, int peak, std::uint64_t salt) {
  const int weight = static_cast<int>(blur * 256);
  if (weight > 0) {
    for (Row& plane : planes_) blur_plane(plane, weight);
  }
  if (peak <= 0) return;
  Rng rng(salt);
  const auto gain = static_cast<std::int16_t>(peak * 256 / kNoisePeak);
  for (int y = 0; y < height_; ++y) {
    for (Row& plane : planes_) {
      const std::int8_t* noise = &noise_[static_cast<std::size_t>(rng.next() % kNoiseSize)];
      std::uint8_t* p = &plane[row(y)];
      for (int x = 0; x < width_; ++x) {
        const auto v = static_cast<std::int16_t>(p[x] + ((noise[x] * gain) >> 8));
        p[x] = static_cast<std::uint8_t>(std::clamp<std::int16_t>(v, 0, 255));
      }
    }
  }
}

void Canvas::to_rgb24(std::uint8_t* out) const {
  const std::size_t pixels = row(height_);
  for (std::size_t i = 0; i < pixels; ++i) {
    out[3 * i] = planes_[0][i];
    out[3 * i + 1] = planes_[1][i];
    out[3 * i + 2] = planes_[2][i];
  }
}

void Canvas::to_yuv420p(std::uint8_t* y, std::uint8_t* u, std::uint8_t* v) const {
  // BT.709 in limited range, in 1/256: the sums fit 16 unsigned bits.
  for (int j = 0; j < height_; ++j) {
    const std::uint8_t *r = &planes_[0][row(j)], *g = &planes_[1][row(j)], *b = &planes_[2][row(j)];
    std::uint8_t* out = y + row(j);
    for (int i = 0; i < width_; ++i) {
      const auto sum = static_cast<std::uint16_t>(47 * r[i] + 157 * g[i] + 16 * b[i] + 128);
      out[i] = static_cast<std::uint8_t>((sum >> 8) + 16);
    }
  }
  const int half_width = (width_ + 1) / 2;
  for (int j = 0; j < height_; j += 2) {
    const std::size_t top = row(j), bottom = row(std::min(j + 1, height_ - 1));
    std::uint8_t* to_u = u + static_cast<std::ptrdiff_t>(j / 2) * half_width;
    std::uint8_t* to_v = v + static_cast<std::ptrdiff_t>(j / 2) * half_width;
    const auto block = [&](int plane, std::size_t a, std::size_t b) {
      const Row& p = planes_[plane];
      return p[top + a] + p[top + b] + p[bottom + a] + p[bottom + b];
    };
    for (int i = 0; i < half_width; ++i) {
      const auto a = static_cast<std::size_t>(2 * i);
      const std::size_t b = std::min(a + 1, static_cast<std::size_t>(width_ - 1));
      const int r = block(0, a, b), g = block(1, a, b), bl = block(2, a, b);
      to_u[i] = static_cast<std::uint8_t>((-26 * r - 87 * g + 113 * bl + 131072 + 512) >> 10);
      to_v[i] = static_cast<std::uint8_t>((112 * r - 102 * g - 10 * bl + 131072 + 512) >> 10);
    }
  }
}

}  // namespace peregrine::synth
