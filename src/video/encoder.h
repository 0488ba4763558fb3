// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "peregrine/frame.h"

namespace peregrine::video {

struct EncoderOptions {
  /// Picture size. H.264 in 4:2:0 needs even sides: an odd one grows by one pixel, which repeats
  /// the last column or row.
  int width = 0, height = 0;
  Rational time_base{1, 1000};
  Rational frame_rate{25, 1};  ///< nominal, steers the encoder only; {0, 1} when unknown
  std::int64_t bit_rate = 0;   ///< bits a second; 0: constant quality
  ColorMatrix matrix = ColorMatrix::kBt709;
  ColorRange range = ColorRange::kLimited;
  /// Where the pictures are. On a GPU its NVENC encodes them, where it has one that opens.
  Device device = Device::cpu();
  int threads = 0;      ///< 0: libav chooses
  std::string encoder;  ///< only this one of libav's encoders; empty: the best it has
};

/// Writes an MP4 of H.264 (where libav has an encoder that opens, else MPEG-4 Part 2) in fragments
/// of about two seconds, so that what a killed run left behind still plays.
class VideoEncoder {
 public:
  /// Creates or truncates `path`, whatever its extension. Throws `Error(kOutput)` naming the path
  /// when it cannot be written, `Error(kInvalidArgument)` for a size or time base of zero.
  VideoEncoder(const std::string& path, const EncoderOptions& options);
  /// Closes the file; without `finish` the frames still inside the encoder are lost.
  ~VideoEncoder();
  VideoEncoder(const VideoEncoder&) = delete;
  VideoEncoder& operator=(const VideoEncoder&) = delete;

  /// Encodes a frame of the encoder's size: on the host in any pixel format but kP010, or NV12 on
  /// `device()`, which may be let go of as soon as this returns. YUV frames carry the matrix and
  /// range given in the options (they become the stream's colour tags). The time is
  /// `frame.info.pts` in `frame.info.time_base`, and the first frame is time 0 of the file. Times
  /// must rise: one that does not is moved to one unit after the frame before. Throws
  /// `Error(kOutput)` naming the path (disk full), `Error(kInvalidArgument)` for another size,
  /// device or format.
  void write(const Frame& frame);
  /// Flushes the encoder and completes the file. Throws `Error(kOutput)`.
  void finish();

  /// "h264_nvenc", "libx264", "libopenh264" or "mpeg4".
  const std::string& codec() const;
  /// Where frames need not leave for the encoder: the options' GPU with NVENC, else the CPU.
  Device device() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace peregrine::video
