// SPDX-License-Identifier: Apache-2.0
#include "clip_decoder.h"

#include <fmt/format.h>

extern "C" {
#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>
}

#include "core/cuda/device_info.h"
#include "peregrine/error.h"
#include "video/codecs.h"

namespace peregrine::bench {
namespace {

// libav calls back in the thread that called it; frame threads exist only in the CPU's decoders.
thread_local std::string first_error;

void keep_error(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  char line[512];
  int print_prefix = 1;
  av_log_format_line2(context, level, format, arguments, line, sizeof line, &print_prefix);
  std::string text = line;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  // The first says what went wrong, those after it what followed.
  if (first_error.empty()) first_error = text;
}

std::string libav_words(int code) {
  return first_error.empty() ? video::av_error_text(code)
                             : fmt::format("{}; {}", video::av_error_text(code), first_error);
}

}  // namespace

void keep_libav_errors() { av_log_set_callback(keep_error); }

DecodeDevice::DecodeDevice(const Sharing& sharing) {
  int result = 0;
  if (sharing.runtime_context) {
    device_.reset(av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA));
    if (!device_) throw Error(ErrorCode::kGpu, "this libav was built without CUDA");
    cuda().cuda_ctx = static_cast<CUcontext>(cuda::driver_context(0));
    result = av_hwdevice_ctx_init(device_.get());
  } else {
    AVBufferRef* made = nullptr;
    result = av_hwdevice_ctx_create(&made, AV_HWDEVICE_TYPE_CUDA, nullptr, nullptr,
                                    AV_CUDA_USE_PRIMARY_CONTEXT);
    device_.reset(made);
  }
  if (result < 0) {
    throw Error(ErrorCode::kGpu, "libav cannot use the GPU: " + libav_words(result));
  }
  if (sharing.own_streams) {
    stream_ = cuda::make_stream();
    cuda().stream = stream_.get();
  }
}

AVCUDADeviceContext& DecodeDevice::cuda() const {
  return *static_cast<AVCUDADeviceContext*>(
      reinterpret_cast<AVHWDeviceContext*>(device_->data)->hwctx);
}

cudaStream_t stream_of(const AVFrame& frame) {
  const auto* frames = reinterpret_cast<const AVHWFramesContext*>(frame.hw_frames_ctx->data);
  return static_cast<const AVCUDADeviceContext*>(frames->device_ctx->hwctx)->stream;
}

ClipDecoder::ClipDecoder(const std::string& path, Ending ending)
    : path_(path), ending_(ending), packet_(video::make_av_packet()) {
  open_container();
  make_decoder(video::find_cpu_decoder(parameters().codec_id));
  decoder_->thread_count = 0;
  start_decoder();
}

ClipDecoder::ClipDecoder(const std::string& path, Ending ending, const DecodeDevice& device,
                         int extra_frames)
    : path_(path), ending_(ending), packet_(video::make_av_packet()) {
  open_container();
  make_decoder(video::find_gpu_decoder(parameters().codec_id));
  decoder_->hw_device_ctx = av_buffer_ref(device.reference());
  decoder_->get_format = choose_cuda;
  decoder_->extra_hw_frames = extra_frames;
  decoder_->thread_count = 1;  // the work is the card's; frame threads would only hold surfaces
  start_decoder();
}

void ClipDecoder::open_container() {
  AVFormatContext* format = nullptr;
  int result = avformat_open_input(&format, path_.c_str(), nullptr, nullptr);
  format_.reset(format);
  if (result < 0) fail("it does not open", result);
  result = avformat_find_stream_info(format, nullptr);
  if (result < 0) fail("it has no readable stream", result);
  const int best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (best < 0) fail("it has no video stream", best);
  first_error.clear();  // looking for what the streams are, libav tries decoders it may not have
  stream_ = format->streams[best];
}

void ClipDecoder::make_decoder(const AVCodec* codec) {
  if (codec == nullptr) fail("libav has no such decoder for it", AVERROR_DECODER_NOT_FOUND);
  decoder_.reset(avcodec_alloc_context3(codec));
  if (!decoder_ || avcodec_parameters_to_context(decoder_.get(), &parameters()) < 0) {
    video::out_of_memory("a decoder");
  }
  decoder_->pkt_timebase = stream_->time_base;
}

void ClipDecoder::start_decoder() {
  const int result = avcodec_open2(decoder_.get(), nullptr, nullptr);
  if (result < 0) fail("its decoder does not open", result);
}

AVPixelFormat ClipDecoder::choose_cuda(AVCodecContext*, const AVPixelFormat* offered) {
  for (; *offered != AV_PIX_FMT_NONE; ++offered) {
    if (*offered == AV_PIX_FMT_CUDA) return AV_PIX_FMT_CUDA;
  }
  return AV_PIX_FMT_NONE;  // offered again without CUDA once NVDEC has refused
}

video::AvFrame ClipDecoder::next() {
  video::AvFrame frame = video::make_av_frame();
  for (;;) {
    const int result = avcodec_receive_frame(decoder_.get(), frame.get());
    if (result == 0) return frame;
    if (result == AVERROR_EOF) return nullptr;
    if (result != AVERROR(EAGAIN)) fail("it is not decoded", result);
    feed();
  }
}

// A key frame opens every clip, so a loop needs no flush: the frames inside still come out.
void ClipDecoder::rewind() {
  const bool timeless = stream_->start_time == AV_NOPTS_VALUE;  // an elementary stream
  const int result = timeless ? av_seek_frame(format_.get(), stream_->index, 0, AVSEEK_FLAG_BYTE)
                              : av_seek_frame(format_.get(), stream_->index, stream_->start_time,
                                              AVSEEK_FLAG_BACKWARD);
  if (result < 0) fail("it cannot be read again from its start", result);
  at_start_ = true;
}

void ClipDecoder::feed() {
  int result = av_read_frame(format_.get(), packet_.get());
  if (result == AVERROR_EOF && ending_ == Ending::kLoop) return rewind();
  if (result < 0 && result != AVERROR_EOF) fail("it cannot be read", result);
  const bool over = result == AVERROR_EOF;
  if (over || packet_->stream_index == stream_->index) {
    if (at_start_ && !over) check_start();
    result = avcodec_send_packet(decoder_.get(), over ? nullptr : packet_.get());
    if (result < 0) fail("it is not decoded", result);
  }
  av_packet_unref(packet_.get());
}

// A seek may land anywhere; a loop over the last second would be another measurement.
void ClipDecoder::check_start() {
  at_start_ = false;
  if (!first_time_) first_time_ = packet_->dts;
  if (packet_->dts != first_time_) fail("a seek to its start lands elsewhere", AVERROR(EINVAL));
}

void ClipDecoder::fail(const std::string& what, int code) const {
  const bool unsupported = code == AVERROR_DECODER_NOT_FOUND;
  throw Error(unsupported ? ErrorCode::kInputUnsupported : ErrorCode::kInputCorrupt,
              fmt::format("'{}': {} ({})", path_, what, libav_words(code)));
}

}  // namespace peregrine::bench
