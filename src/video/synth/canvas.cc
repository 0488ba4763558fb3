// SPDX-License-Identifier: Apache-2.0
#include "video/synth/canvas.h"

#include <algorithm>
#include <cmath>

#include "video/synth/random.h"

namespace peregrine::synth {
namespace {

constexpr int kNoiseSize = 1 << 16;
constexpr int kNoisePeak = 64;

// The row loops stand alone with restricted pointers and 16-bit sums, so that the compiler turns
// each into 8 or 16 lanes; on x86-64 a second copy of each for AVX2 is chosen when the program
// starts: before a sanitizer that instruments the choice is ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PEREGRINE_ROW_LOOP __attribute__((target_clones("avx2", "default")))
#else
#define PEREGRINE_ROW_LOOP
#endif
using Byte = std::uint8_t;
using Word = std::uint16_t;

struct Weights {
  Word w00, w01, w10, w11;  // sum 256
};
PEREGRINE_ROW_LOOP void mix_four(const Byte* __restrict a, const Byte* __restrict b, Weights w,
                                 Byte* __restrict out, int count) {
  for (int x = 0; x < count; ++x) {
    out[x] = static_cast<Byte>(static_cast<Word>(a[x] * w.w00 + a[x + 1] * w.w01 + b[x] * w.w10 +
                                                 b[x + 1] * w.w11 + 128) >>
                               8);
  }
}

/// Three taps: `side` of 256 for each of a and c, the rest for b.
PEREGRINE_ROW_LOOP void mix_three(const Byte* __restrict a, const Byte* __restrict b,
                                  const Byte* __restrict c, Word side, Byte* __restrict out,
                                  int count) {
  const Word middle = static_cast<Word>(256 - 2 * side);
  for (int x = 0; x < count; ++x) {
    out[x] = static_cast<Byte>(
        static_cast<Word>(side * static_cast<Word>(a[x] + c[x]) + middle * b[x] + 128) >> 8);
  }
}

/// Adds noise * gain / 256, saturating.
PEREGRINE_ROW_LOOP void add_noise(Byte* __restrict p, const std::int8_t* __restrict noise,
                                  std::int16_t gain, int count) {
  for (int x = 0; x < count; ++x) {
    const auto v =
        static_cast<std::int16_t>(p[x] + (static_cast<std::int16_t>(noise[x] * gain) >> 8));
    p[x] = static_cast<Byte>(std::min<std::int16_t>(std::max<std::int16_t>(v, 0), 255));
  }
}

/// BT.709 luma in limited range, in 1/256.
PEREGRINE_ROW_LOOP void luma_row(const Byte* __restrict r, const Byte* __restrict g,
                                 const Byte* __restrict b, Byte* __restrict out, int count) {
  for (int x = 0; x < count; ++x) {
    out[x] =
        static_cast<Byte>((static_cast<Word>(47 * r[x] + 157 * g[x] + 16 * b[x] + 128) >> 8) + 16);
  }
}

/// Sums of 2 x 2 blocks of two rows, 16 bits each.
PEREGRINE_ROW_LOOP void add_blocks(const Byte* __restrict top, const Byte* __restrict bottom,
                                   Word* __restrict out, int count) {
  for (int x = 0; x < count; ++x) {
    out[x] = static_cast<Word>(top[2 * x] + top[2 * x + 1] + bottom[2 * x] + bottom[2 * x + 1]);
  }
}

/// One chroma row of block sums: weights in 1/256, of four pixels each.
PEREGRINE_ROW_LOOP void chroma_row(const Word* __restrict r, const Word* __restrict g,
                                   const Word* __restrict b, int wr, int wg, int wb,
                                   Byte* __restrict out, int count) {
  for (int x = 0; x < count; ++x) {
    out[x] = static_cast<Byte>((wr * r[x] + wg * g[x] + wb * b[x] + 131072 + 512) >> 10);
  }
}

PEREGRINE_ROW_LOOP void interleave(const Byte* __restrict r, const Byte* __restrict g,
                                   const Byte* __restrict b, Byte* __restrict out, int count) {
  for (int x = 0; x < count; ++x) {
    out[3 * x] = r[x];
    out[3 * x + 1] = g[x];
    out[3 * x + 2] = b[x];
  }
}

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
  const int fx = part_x_, fy = part_y_;
  const Weights weights{static_cast<Word>((16 - fx) * (16 - fy)), static_cast<Word>(fx * (16 - fy)),
                        static_cast<Word>((16 - fx) * fy), static_cast<Word>(fx * fy)};
  for (int y = 0; y < height_; ++y) {
    const Byte* a =
        &from[static_cast<std::size_t>(y + whole_y_) * static_cast<std::size_t>(from_width) +
              static_cast<std::size_t>(whole_x_)];
    if (weights.w00 == 256) {
      std::copy(a, a + width_, &to[row(y)]);
    } else {
      mix_four(a, a + from_width, weights, &to[row(y)], width_);
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

void Canvas::lighten(Point center, double rx, double ry, Color light, std::uint16_t front) {
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
      if (fade <= 0 || owners_[row(y) + static_cast<std::size_t>(x)] > front) continue;
      for (int c = 0; c < 3; ++c) {
        std::uint8_t& p = planes_[c][row(y) + static_cast<std::size_t>(x)];
        p = static_cast<std::uint8_t>(std::min(255.0, p + 255 * channels[c] * fade * fade));
      }
    }
  }
}

void Canvas::blur_plane(Row& plane, int weight) {
  // Rows first, through a copy of the row; then columns, keeping the row above as it was.
  const auto side = static_cast<Word>(weight);
  Byte* line = scratch_[0].data();
  for (int y = 0; y < height_; ++y) {
    Byte* p = &plane[row(y)];
    std::copy(p, p + width_, line + 1);
    line[0] = line[1], line[width_ + 1] = line[width_];
    mix_three(line, line + 1, line + 2, side, p, width_);
  }
  Byte* above = scratch_[1].data();
  Byte* here = scratch_[2].data();
  std::copy(plane.begin(), plane.begin() + width_, above);
  for (int y = 0; y < height_; ++y) {
    Byte* p = &plane[row(y)];
    std::copy(p, p + width_, here);
    const Byte* below = y + 1 < height_ ? p + width_ : here;
    mix_three(above, here, below, side, p, width_);
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
      add_noise(&plane[row(y)], &noise_[static_cast<std::size_t>(rng.next() % kNoiseSize)], gain,
                width_);
    }
  }
}

void Canvas::to_rgb24(std::uint8_t* out) const {
  for (int y = 0; y < height_; ++y) {
    interleave(&planes_[0][row(y)], &planes_[1][row(y)], &planes_[2][row(y)], out + 3 * row(y),
               width_);
  }
}

void Canvas::to_yuv420p(std::uint8_t* y, std::uint8_t* u, std::uint8_t* v) const {
  for (int j = 0; j < height_; ++j) {
    luma_row(&planes_[0][row(j)], &planes_[1][row(j)], &planes_[2][row(j)], y + row(j), width_);
  }
  const int half = (width_ + 1) / 2;
  std::vector<Word> sums[3];
  for (auto& sum : sums) sum.resize(static_cast<std::size_t>(half));
  for (int j = 0; j < height_; j += 2) {
    for (int c = 0; c < 3; ++c) {
      const Byte* top = &planes_[c][row(j)];
      const Byte* bottom = &planes_[c][row(std::min(j + 1, height_ - 1))];
      add_blocks(top, bottom, sums[c].data(), width_ / 2);
      if (width_ % 2 != 0) {  // the last column stands for the missing one
        sums[c].back() = static_cast<Word>(2 * (top[width_ - 1] + bottom[width_ - 1]));
      }
    }
    const Word *r = sums[0].data(), *g = sums[1].data(), *b = sums[2].data();
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(j / 2) * half;
    chroma_row(r, g, b, -26, -87, 113, u + at, half);
    chroma_row(r, g, b, 112, -102, -10, v + at, half);
  }
}

}  // namespace peregrine::synth
