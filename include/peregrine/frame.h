// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "peregrine/tensor.h"

namespace peregrine {

/// An exact ratio, as libav's AVRational: time bases and frame rates.
struct Rational {
  std::int64_t num = 0;
  std::int64_t den = 1;
  constexpr double value() const {
    return den == 0 ? 0.0 : static_cast<double>(num) / static_cast<double>(den);
  }
  friend constexpr bool operator==(Rational, Rational) = default;
};

/// Memory layout of a picture.
enum class PixelFormat : std::uint8_t {
  kYuv420p,  ///< planes Y, U, V; chroma halved both ways
  kYuv444p,  ///< planes Y, U, V of one size
  kNv12,     ///< planes Y, interleaved UV; chroma halved both ways
  kP010,   ///< as NV12, 16-bit words with 10 significant high bits (device only; strides in bytes)
  kRgb24,  ///< one plane, bytes R G B
  kGray8,  ///< one plane
};
PEREGRINE_API const char* to_string(PixelFormat format);
PEREGRINE_API int plane_count(PixelFormat format);

/// Y'CbCr to R'G'B' matrix (ITU-R BT.601-7, BT.709-6, BT.2020-2 non-constant luminance).
enum class ColorMatrix : std::uint8_t { kBt601, kBt709, kBt2020 };
/// Limited: luma 16 to 235, chroma 16 to 240 (of 255). Full: 0 to 255.
enum class ColorRange : std::uint8_t { kLimited, kFull };

/// One plane of a picture; `stride` is in bytes and may exceed the row.
struct Plane {
  const std::uint8_t* data = nullptr;
  std::int64_t stride = 0;
};

/// Which frame of which stream, when, and how large.
struct FrameInfo {
  int stream = 0;  ///< output stream id, from 0 in the order of the sources
  std::int64_t index =
      0;  ///< position in the decoded stream, from 0; frames skipped by `--every` still count
  std::int64_t pts = 0;      ///< presentation time in units of `time_base`, exact
  Rational time_base{1, 1};  ///< seconds a unit of `pts`
  int width = 0;             ///< pixels, as displayed (rotation metadata applied)
  int height = 0;

  // Units stay exact until here: a float of seconds loses frames after 4 hours at 90 kHz.
  double seconds() const { return static_cast<double>(pts) * time_base.value(); }
};

/// A decoded picture in whatever memory the decoder left it, upright (rotation metadata applied).
/// Copying a Frame shares the picture. Never copied between host and device behind the caller's
/// back.
struct Frame {
  FrameInfo info;
  PixelFormat format = PixelFormat::kYuv420p;
  ColorMatrix matrix = ColorMatrix::kBt709;
  ColorRange range = ColorRange::kLimited;
  Device device;
  std::array<Plane, 3> planes;
  std::shared_ptr<const void>
      storage;  ///< keeps `planes` alive; returns the surface to its decoder when released
  /// Of a device frame: the CUDA event (cudaEvent_t) after which the picture is complete, owned by
  /// `storage`; readers make their stream wait for it. Null: it is complete.
  void* ready = nullptr;
  /// When the packet that completed the frame had come (of a paced file: was due), in nanoseconds
  /// of the steady clock; 0: unknown.
  std::int64_t received = 0;

  bool empty() const { return planes[0].data == nullptr; }
};

}  // namespace peregrine
