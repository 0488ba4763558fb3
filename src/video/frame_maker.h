// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "video/libav.h"
#include "video/media_reader.h"
#include "video/orientation.h"

namespace peregrine::video {

/// Turns decoded pictures into Frames: upright, in one of Frame's formats, with matrix and range.
/// The planes of 8-bit 4:2:0, 4:4:4, NV12, RGB and gray pictures are the decoder's own (no copy);
/// others are converted once, never between matrices or ranges, and turned ones are copied once.
///
/// Where the stream does not say, the matrix is BT.601 for still pictures and for video up to
/// 1279x576, else BT.709 (what mpv and others do), and the range is limited, except for JPEG's
/// formats and for gray of codecs for single pictures.
class FrameMaker {
 public:
  FrameMaker() = default;
  /// For the pictures of one reader's decoder; its stream provides the orientation of frames that
  /// carry none. Surfaces of a GPU stay there.
  explicit FrameMaker(const MediaReader& reader);

  /// Everything but `info.stream`, `index`, `pts` and `time_base`. Throws `Error(kOutOfMemory)`,
  /// `Error(kInputUnsupported)` for a pixel format that cannot be converted.
  Frame make(AvFrame picture);

 private:
  Frame on_host(AvFrame picture, const Orientation& turn);
  AvFrame converted(const AVFrame& picture, AVPixelFormat format);
  AvFrame oriented(const AVFrame& picture, const Orientation& orientation);
  AvFrame pooled(AVPixelFormat format, int width, int height);
  Orientation orientation(const AVFrame& picture) const;

  std::shared_ptr<GpuDecode> gpu_;
  AVCodecID codec_ = AV_CODEC_ID_NONE;
  Orientation stream_orientation_;
  Sws converter_;
  AvPool pool_;
  int pool_bytes_ = 0;
};

}  // namespace peregrine::video
