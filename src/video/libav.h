// SPDX-License-Identifier: Apache-2.0
// libav's handles as owners, and what every user of libav here needs. Internal to src/video.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

#include "peregrine/frame.h"

namespace peregrine::video {

/// Calls a libav function that frees through a pointer to the pointer.
template <auto Free>
struct AvDelete {
  template <typename T>
  void operator()(T* object) const {
    Free(&object);
  }
};
struct SwsDelete {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};

using AvFormat = std::unique_ptr<AVFormatContext, AvDelete<avformat_close_input>>;
using AvCodec = std::unique_ptr<AVCodecContext, AvDelete<avcodec_free_context>>;
using AvParameters = std::unique_ptr<AVCodecParameters, AvDelete<avcodec_parameters_free>>;
using AvFrame = std::unique_ptr<AVFrame, AvDelete<av_frame_free>>;
using AvPacket = std::unique_ptr<AVPacket, AvDelete<av_packet_free>>;
using AvPool = std::unique_ptr<AVBufferPool, AvDelete<av_buffer_pool_uninit>>;
using Sws = std::unique_ptr<SwsContext, SwsDelete>;

/// An allocation that libav refused: throws `Error(kOutOfMemory)`.
[[noreturn]] void out_of_memory(const char* what);
AvFrame make_av_frame();
AvPacket make_av_packet();

/// libav's text for an error code.
std::string av_error_text(int code);

/// Sends libav's own messages to the logger "libav" (its errors and warnings as debug messages,
/// credentials in addresses blanked) instead of stderr. Process-wide; does its work once.
void route_libav_log();

/// `scheme://user:password@host` without `user:password@`, wherever it occurs in `text`.
std::string without_credentials(std::string text);

inline Rational to_rational(AVRational value) { return {value.num, value.den}; }
/// Nearest ratio that fits libav's 32-bit fields.
AVRational to_av(Rational value);

}  // namespace peregrine::video
