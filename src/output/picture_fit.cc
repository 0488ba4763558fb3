// SPDX-License-Identifier: Apache-2.0
#include "output/picture_fit.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "output/canvas.h"
#include "peregrine/error.h"

extern "C" {
#include <libavutil/pixfmt.h>
#include <libswscale/swscale.h>
}

namespace peregrine::output {
namespace {

AVPixelFormat to_av(PixelFormat format) {
  switch (format) {
    case PixelFormat::kYuv420p: return AV_PIX_FMT_YUV420P;
    case PixelFormat::kYuv444p: return AV_PIX_FMT_YUV444P;
    case PixelFormat::kNv12: return AV_PIX_FMT_NV12;
    case PixelFormat::kRgb24: return AV_PIX_FMT_RGB24;
    case PixelFormat::kGray8: return AV_PIX_FMT_GRAY8;
    case PixelFormat::kP010: break;  // device only
  }
  return AV_PIX_FMT_NONE;
}

const int* coefficients(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt601: return sws_getCoefficients(SWS_CS_ITU601);
    case ColorMatrix::kBt709: return sws_getCoefficients(SWS_CS_ITU709);
    case ColorMatrix::kBt2020: return sws_getCoefficients(SWS_CS_BT2020);
  }
  return sws_getCoefficients(SWS_CS_DEFAULT);
}

bool has_luma(PixelFormat format) {
  return format != PixelFormat::kRgb24 && format != PixelFormat::kGray8;
}

}  // namespace

struct PictureFit::State {
  FrameInfo size;
  ColorMatrix matrix;
  ColorRange range;
  SwsContext* scaler = nullptr;
  std::shared_ptr<std::vector<std::uint8_t>> memory;  // of the frame given out
  std::vector<std::uint8_t> scaled;

  bool fits(const Frame& frame) const {
    const bool same_size = frame.info.width == size.width && frame.info.height == size.height;
    const bool same_color = frame.matrix == matrix && frame.range == range;
    return same_size && (same_color || !has_luma(frame.format));
  }

  // swscale writes whole vectors: past the width, into padding that only this buffer has.
  void reserve_scaled(int width, int height, std::array<std::uint8_t*, 4>& planes,
                      std::array<int, 4>& strides) {
    constexpr int kAlignment = 64;
    std::array<std::size_t, 4> offsets{};
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const int shift = i == 0 ? 0 : 1;
      strides[i] = (((width + shift) >> shift) / kAlignment + 2) * kAlignment;
      offsets[i] = bytes;
      bytes += static_cast<std::size_t>(strides[i]) * ((height + shift) >> shift);
    }
    scaled.resize(bytes + kAlignment);
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(scaled.data()) % kAlignment;
    std::uint8_t* first = scaled.data() + (kAlignment - misaligned) % kAlignment;
    for (std::size_t i = 0; i < 3; ++i) planes[i] = first + offsets[i];
  }

  // Packed 4:2:0, black.
  Frame blank(const Frame& like) {
    const int half_width = (size.width + 1) / 2, half_height = (size.height + 1) / 2;
    const auto luma = static_cast<std::size_t>(size.width) * size.height;
    const auto chroma = static_cast<std::size_t>(half_width) * half_height;
    if (!memory || memory.use_count() > 1) {
      memory = std::make_shared<std::vector<std::uint8_t>>(luma + 2 * chroma);
    }
    std::uint8_t* bytes = memory->data();
    std::memset(bytes, range == ColorRange::kFull ? 0 : 16, luma);
    std::memset(bytes + luma, 128, 2 * chroma);
    Frame frame = like;
    frame.info.width = size.width;
    frame.info.height = size.height;
    frame.format = PixelFormat::kYuv420p;
    frame.matrix = matrix;
    frame.range = range;
    frame.planes = {
        {{bytes, size.width}, {bytes + luma, half_width}, {bytes + luma + chroma, half_width}}};
    frame.storage = memory;
    return frame;
  }
};

PictureFit::PictureFit(const Frame& first) : state_(std::make_unique<State>()) {
  state_->size = first.info;
  state_->matrix = first.matrix;
  state_->range = first.range;
}

PictureFit::~PictureFit() { sws_freeContext(state_->scaler); }

bool PictureFit::fits(const Frame& frame) const { return state_->fits(frame); }

Frame PictureFit::fit(const Frame& frame) {
  State& state = *state_;
  if (state.fits(frame)) return frame;
  require_host_picture(frame);
  const int from_width = frame.info.width, from_height = frame.info.height;
  const double scale = std::min(static_cast<double>(state.size.width) / from_width,
                                static_cast<double>(state.size.height) / from_height);
  const auto side = [&](int from, int whole) {
    return from * scale > whole - 2 ? whole : std::max(2, static_cast<int>(from * scale) & ~1);
  };
  const int width = side(from_width, state.size.width);
  const int height = side(from_height, state.size.height);
  state.scaler =
      sws_getCachedContext(state.scaler, from_width, from_height, to_av(frame.format), width,
                           height, AV_PIX_FMT_YUV420P, SWS_BILINEAR, nullptr, nullptr, nullptr);
  if (state.scaler == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                "a picture of " + std::to_string(from_width) + " x " + std::to_string(from_height) +
                    " cannot be scaled to the size the video began with");
  }
  constexpr int kUnity = 1 << 16;
  sws_setColorspaceDetails(state.scaler, coefficients(frame.matrix),
                           frame.range == ColorRange::kFull, coefficients(state.matrix),
                           state.range == ColorRange::kFull, 0, kUnity, kUnity);

  std::array<const std::uint8_t*, 4> from{};
  std::array<int, 4> from_strides{};
  for (std::size_t i = 0; i < 3; ++i) {
    from[i] = frame.planes[i].data;
    from_strides[i] = static_cast<int>(frame.planes[i].stride);
  }
  std::array<std::uint8_t*, 4> to{};
  std::array<int, 4> to_strides{};
  state.reserve_scaled(width, height, to, to_strides);
  sws_scale(state.scaler, from.data(), from_strides.data(), 0, from_height, to.data(),
            to_strides.data());

  Frame fitted = state.blank(frame);
  const int left = (state.size.width - width) / 2 & ~1, top = (state.size.height - height) / 2 & ~1;
  for (std::size_t i = 0; i < 3; ++i) {
    const int shift = i == 0 ? 0 : 1;
    const Plane& plane = fitted.planes[i];
    // `blank` made this memory, and nobody else has it yet.
    auto* row =
        const_cast<std::uint8_t*>(plane.data) + (top >> shift) * plane.stride + (left >> shift);
    const int rows = (height + shift) >> shift, bytes = (width + shift) >> shift;
    for (int y = 0; y < rows; ++y, row += plane.stride) {
      std::memcpy(row, to[i] + static_cast<std::ptrdiff_t>(y) * to_strides[i],
                  static_cast<std::size_t>(bytes));
    }
  }
  return fitted;
}

}  // namespace peregrine::output
