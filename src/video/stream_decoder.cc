// SPDX-License-Identifier: Apache-2.0
#include "video/stream_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/ledger.h"
#include "core/log.h"
#include "peregrine/error.h"
#include "video/codecs.h"

namespace peregrine::video {
namespace {

// What NVDEC is fed with: the driver takes it up.
constinit TransferPoint kBitstream{Crossing::kUp, "decode", "compressed stream"};
// Ten seconds of a camera: one that refreshes its pictures bit by bit never sends a whole one.
constexpr int kMostSkipped = 300;

}  // namespace

StreamDecoder::StreamDecoder(std::string name, const AVStream& stream, const SourceOptions& options,
                             bool low_delay)
    : name_(std::move(name)),
      options_(options),
      low_delay_(low_delay),
      parameters_(avcodec_parameters_alloc()),
      time_base_(stream.time_base) {
  if (!parameters_ || avcodec_parameters_copy(parameters_.get(), stream.codecpar) < 0) {
    out_of_memory("a decoder");
  }
  check_size(parameters_->width, parameters_->height);
  if (options_.gpu.device < 0 || !open_on_gpu()) open_on_cpu();
}

// False: NVDEC has nothing for this codec, and the CPU may.
bool StreamDecoder::open_on_gpu() {
  const AVCodec* codec = find_gpu_decoder(parameters_->codec_id);
  if (codec == nullptr) {
    leave_gpu("libav does not hand this codec to NVDEC");
    return false;
  }
  const int held = options_.gpu.held_frames;
  gpu_ = make_gpu_decode(options_.gpu.device, held, {name_, decoder_bytes(*parameters_, held)});
  start(*codec);
  return true;
}

void StreamDecoder::open_on_cpu() {
  const AVCodec* codec = find_cpu_decoder(parameters_->codec_id);
  if (codec == nullptr) {
    throw Error(ErrorCode::kInputUnsupported,
                fmt::format("'{}' is {}, for which this machine's libav has no decoder", name_,
                            avcodec_get_name(parameters_->codec_id)));
  }
  start(*codec);
}

void StreamDecoder::start(const AVCodec& codec) {
  context_.reset(avcodec_alloc_context3(&codec));
  if (!context_ || avcodec_parameters_to_context(context_.get(), parameters_.get()) < 0) {
    out_of_memory("a decoder");
  }
  context_->pkt_timebase = time_base_;
  context_->thread_count = options_.decoder_threads;
  // Frame threads hold back one picture each.
  context_->thread_type = low_delay_ ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
  context_->flags |= AV_CODEC_FLAG_UNALIGNED;  // crop to the pixel
  context_->opaque = this;
  context_->get_buffer2 = &StreamDecoder::get_buffer;
  if (gpu_) {
    context_->hw_device_ctx = av_buffer_ref(gpu_->device());
    context_->get_format = &StreamDecoder::choose_format;
    context_->thread_count = 1;  // the work is the GPU's
  }
#if LIBAVCODEC_VERSION_MAJOR < 60
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  context_->thread_safe_callbacks = 1;
#pragma GCC diagnostic pop
#endif
  // Wrapped libraries (dav1d) allocate without get_buffer2.
  if (codec.wrapper_name != nullptr) {
    context_->max_pixels = std::int64_t{options_.max_side} * options_.max_side;
  }
  const int result = avcodec_open2(context_.get(), &codec, nullptr);
  if (result < 0) {
    throw Error(ErrorCode::kInputCorrupt,
                fmt::format("'{}': the {} decoder does not accept the stream ({})", name_,
                            codec.name, av_error_text(result)));
  }
}

void StreamDecoder::close() {
  if (gpu_) gate_ = gpu_->no_capture();
  context_.reset();
  gate_ = {};
}

// Asked once the stream's headers are read, and again without NVDEC's format when NVDEC refused it.
AVPixelFormat StreamDecoder::choose_format(AVCodecContext* context, const AVPixelFormat* offered) {
  auto& decoder = *static_cast<StreamDecoder*>(context->opaque);
  for (const AVPixelFormat* each = offered; *each != AV_PIX_FMT_NONE; ++each) {
    if (*each != AV_PIX_FMT_CUDA) continue;
    decoder.gpu_->plan_surfaces(*context);
    decoder.gate_ = decoder.gpu_->no_capture();  // what comes next makes NVDEC's decoder
    return *each;
  }
  decoder.gpu_refused_ = true;  // `receive` leaves the GPU or says why it may not
  return AV_PIX_FMT_NONE;
}

// Runs in decoder threads, before each picture is allocated.
int StreamDecoder::get_buffer(AVCodecContext* context, AVFrame* frame, int flags) {
  auto& decoder = *static_cast<StreamDecoder*>(context->opaque);
  const int width = context->width > 0 ? context->width : frame->width;
  const int height = context->height > 0 ? context->height : frame->height;
  if (std::max(width, height) > decoder.options_.max_side) {
    decoder.refused_size_ = static_cast<std::uint64_t>(width) << 32 | static_cast<unsigned>(height);
    return AVERROR(EINVAL);
  }
  return avcodec_default_get_buffer2(context, frame, flags);
}

void StreamDecoder::check_size(int width, int height) const {
  if (std::max(width, height) <= options_.max_side) return;
  throw Error(ErrorCode::kInputUnsupported,
              fmt::format("'{}': pictures of {}x{} exceed the limit of {} pixels a side, which the "
                          "configuration can raise",
                          name_, width, height, options_.max_side));
}

void StreamDecoder::leave_gpu(const std::string& why) const {
  if (options_.gpu.strict) refuse_cpu(why);
  logger("video")->warn("'{}' is decoded on the CPU: {}", name_, why);
}

void StreamDecoder::refuse_cpu(const std::string& why) const {
  const char* profile = avcodec_profile_name(parameters_->codec_id, parameters_->profile);
  const AVCodecDescriptor* codec = avcodec_descriptor_get(parameters_->codec_id);
  throw Error(ErrorCode::kGpu,
              fmt::format("strict GPU: '{}' is {}{}{}, {}x{}, which would be decoded on the CPU: "
                          "{}. Re-encode it as H.264 or HEVC in 4:2:0, or drop --strict-gpu",
                          name_, codec != nullptr ? codec->long_name : "an unknown codec",
                          profile != nullptr ? ", " : "", profile != nullptr ? profile : "",
                          parameters_->width, parameters_->height, why));
}

bool StreamDecoder::send(const AVPacket& packet) {
  if (low_delay_ && !refreshed_) refreshed_ = refreshes_decoder(codec(), packet);
  if (waits_for_refresh_) {
    if (!refreshed_ && ++skipped_ <= kMostSkipped) return true;
    if (!refreshed_) flush();
    waits_for_refresh_ = false;
  }
  const int result = avcodec_send_packet(context_.get(), &packet);
  gate_ = {};
  if (gpu_) kBitstream.add(static_cast<std::size_t>(packet.size));
  return result >= 0 || gpu_refused_;
}

void StreamDecoder::flush() {
  drained_ = false;
  avcodec_flush_buffers(context_.get());
}

void StreamDecoder::drain() {
  drained_ = true;
  avcodec_send_packet(context_.get(), nullptr);
}

StreamDecoder::Outcome StreamDecoder::receive(AVFrame& picture) {
  const int result = avcodec_receive_frame(context_.get(), &picture);
  gate_ = {};
  if (const std::uint64_t size = refused_size_) {
    check_size(static_cast<int>(size >> 32), static_cast<int>(size & 0xffffffffU));
  }
  if (result == 0) {
    check_size(picture.width, picture.height);
    ++pictures_;
    return Outcome::kPicture;
  }
  if (gpu_refused_) {
    leave_gpu("NVDEC of this GPU does not take it");
    gpu_refused_ = false;
    close();
    gpu_.reset();
    open_on_cpu();
    return Outcome::kLeftGpu;
  }
  if (result == AVERROR_EOF) return Outcome::kEnd;
  return result == AVERROR(EAGAIN) ? Outcome::kHungry : Outcome::kDamaged;
}

bool StreamDecoder::may_go_on() const {
  const bool as_announced =  // not changed by parameters in the stream
      context_->width == parameters_->width && context_->height == parameters_->height;
  const bool is_empty = low_delay_ && context_->has_b_frames == 0;
  return as_announced && is_empty && pictures_ > 0 && refreshed_ && !drained_;
}

bool StreamDecoder::go_on_with(const AVStream& stream) {
  const AVCodecParameters& now = *stream.codecpar;
  const bool same =
      now.codec_id == parameters_->codec_id && now.width == parameters_->width &&
      now.height == parameters_->height && now.format == parameters_->format &&
      now.extradata_size == parameters_->extradata_size &&
      (now.extradata_size == 0 || std::memcmp(now.extradata, parameters_->extradata,
                                              static_cast<std::size_t>(now.extradata_size)) == 0);
  if (!same) return false;
  context_->pkt_timebase = time_base_ = stream.time_base;
  waits_for_refresh_ = true;
  refreshed_ = false;
  skipped_ = 0;
  pictures_ = 0;
  return true;
}

bool refreshes_decoder(AVCodecID codec, const AVPacket& packet) {
  if (codec != AV_CODEC_ID_H264 && codec != AV_CODEC_ID_HEVC) {
    return (packet.flags & AV_PKT_FLAG_KEY) != 0;
  }
  // The first slice decides: all of a picture are of one type.
  for (int i = 0; i + 3 < packet.size; ++i) {
    const std::uint8_t* at = packet.data + i;
    if (at[0] != 0 || at[1] != 0 || at[2] != 1) continue;
    if (codec == AV_CODEC_ID_H264) {
      const int type = at[3] & 31;
      if (type >= 1 && type <= 5) return type == 5;
    } else {
      const int type = at[3] >> 1 & 63;
      if (type < 32) return type >= 16 && type <= 20;
    }
  }
  return false;
}

}  // namespace peregrine::video
