// SPDX-License-Identifier: Apache-2.0
#include "video/encoder.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <deque>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/log.h"
#include "peregrine/error.h"
#include "video/codecs.h"
#include "video/gpu_encode.h"
#include "video/libav.h"

namespace peregrine::video {
namespace {

constexpr double kFragmentSeconds = 2;  // a killed run loses at most about this much
constexpr int kMaxGop = 250;

AVPixelFormat to_av_format(PixelFormat format) {
  switch (format) {
    case PixelFormat::kYuv420p: return AV_PIX_FMT_YUV420P;
    case PixelFormat::kYuv444p: return AV_PIX_FMT_YUV444P;
    case PixelFormat::kNv12: return AV_PIX_FMT_NV12;
    case PixelFormat::kRgb24: return AV_PIX_FMT_RGB24;
    case PixelFormat::kGray8: return AV_PIX_FMT_GRAY8;
    case PixelFormat::kP010: break;
  }
  return AV_PIX_FMT_NONE;
}

AVColorSpace to_av_matrix(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt601: return AVCOL_SPC_SMPTE170M;
    case ColorMatrix::kBt709: return AVCOL_SPC_BT709;
    case ColorMatrix::kBt2020: return AVCOL_SPC_BT2020_NCL;
  }
  return AVCOL_SPC_UNSPECIFIED;
}

AVRational nominal_rate(Rational rate) {
  const bool usable = rate.num > 0 && rate.den > 0 && rate.value() <= 1000;
  return usable ? to_av(rate) : AVRational{25, 1};
}

int sws_matrix(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::kBt601: return SWS_CS_ITU601;
    case ColorMatrix::kBt709: return SWS_CS_ITU709;
    case ColorMatrix::kBt2020: return SWS_CS_BT2020;
  }
  return SWS_CS_DEFAULT;
}

/// Repeats the last column and row of a `width` x `height` luma plane where the encoder's picture
/// is larger. Chroma rounds up to the same size anyway.
void pad_luma(AVFrame& picture, int width, int height) {
  const std::int64_t stride = picture.linesize[0];
  if (picture.width > width) {
    for (int y = 0; y < height; ++y) {
      std::uint8_t* row = picture.data[0] + y * stride;
      row[width] = row[width - 1];
    }
  }
  if (picture.height > height) {
    std::uint8_t* last = picture.data[0] + height * stride;
    std::copy_n(last - stride, picture.width, last);
  }
}

}  // namespace

struct VideoEncoder::State {
  std::string path;
  EncoderOptions options;
  AVFormatContext* format = nullptr;
  AVStream* stream = nullptr;
  std::unique_ptr<GpuEncode> gpu;  // with NVENC
  AvCodec encoder;
  std::string codec_name;
  AvPacket packet = make_av_packet();
  AvFrame picture = make_av_frame();
  Sws converter;
  AVRational file_time_base{0, 1};
  // The encoder counts frames (MPEG-4 allows no time base finer than 1/65535), and without
  // B-frames its packets come in the order of the frames: each takes the next of these times.
  std::deque<std::int64_t> times;
  std::int64_t frames = 0;
  std::int64_t origin = 0;
  std::optional<std::int64_t> last_time;
  std::int64_t nominal_duration = 1;

  ~State() {
    close_gpu();
    if (format == nullptr) return;
    if (format->pb != nullptr) avio_closep(&format->pb);
    avformat_free_context(format);
  }

  [[noreturn]] void fail(const std::string& what, int error) const {
    const char* advice = error == AVERROR(ENOSPC) ? "; free space on the disk" : "";
    throw Error(ErrorCode::kOutput,
                fmt::format("'{}': {}: {}{}", path, what, av_error_text(error), advice));
  }
  void check(int result, const char* what) const {
    if (result < 0) fail(what, result);
  }

  void open_encoder();
  void configure(const AVCodec& codec);
  bool try_encoder(const AVCodec& codec);
  bool try_gpu_encoder();
  void close_gpu();
  void open_file();
  void load(const Frame& frame);
  AvFrame on_gpu(const Frame& frame);
  void send(const AVFrame* frame);
};

void VideoEncoder::State::configure(const AVCodec& codec) {
  encoder.reset(avcodec_alloc_context3(&codec));
  if (!encoder) out_of_memory("an encoder");
  const AVRational rate = nominal_rate(options.frame_rate);
  encoder->width = (options.width + 1) & ~1;
  encoder->height = (options.height + 1) & ~1;
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->time_base = av_inv_q(rate);
  encoder->framerate = rate;
  encoder->gop_size =
      std::clamp(static_cast<int>(std::lround(kFragmentSeconds * av_q2d(rate))), 1, kMaxGop);
  encoder->max_b_frames = 0;
  encoder->thread_count = options.threads;
  encoder->colorspace = to_av_matrix(options.matrix);
  encoder->color_range = options.range == ColorRange::kFull ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;  // MP4 keeps parameter sets in its header
  if (options.bit_rate > 0) {
    encoder->bit_rate = options.bit_rate;
  } else if (codec.id == AV_CODEC_ID_MPEG4) {
    encoder->flags |= AV_CODEC_FLAG_QSCALE;
    encoder->global_quality = 4 * FF_QP2LAMBDA;
  } else {
    // 0.1 bit a pixel looks clean at usual rates, for encoders without a constant quality.
    encoder->bit_rate =
        static_cast<std::int64_t>(0.1 * encoder->width * encoder->height * av_q2d(rate));
  }
}

bool VideoEncoder::State::try_encoder(const AVCodec& codec) {
  configure(codec);
  if (std::string_view(codec.name) == "libx264") {
    av_opt_set(encoder->priv_data, "preset", "veryfast", 0);
    if (options.bit_rate <= 0) {
      encoder->bit_rate = 0;
      av_opt_set(encoder->priv_data, "crf", "23", 0);
    }
  }
  return avcodec_open2(encoder.get(), &codec, nullptr) >= 0;
}

bool VideoEncoder::State::try_gpu_encoder() {
  const AVCodec* codec = find_gpu_encoder();
  if (codec == nullptr) return false;
  configure(*codec);
  gpu = make_gpu_encode(options.device.index, encoder->width, encoder->height);
  if (!gpu) return false;
  encoder->pix_fmt = AV_PIX_FMT_CUDA;
  encoder->hw_frames_ctx = av_buffer_ref(gpu->surfaces());
  if (encoder->hw_frames_ctx == nullptr) out_of_memory("an encoder");
  av_opt_set(encoder->priv_data, "preset", "p4", 0);
  av_opt_set_int(encoder->priv_data, "surfaces", 4, 0);
  if (options.bit_rate <= 0) {
    encoder->bit_rate = 0;
    av_opt_set(encoder->priv_data, "rc", "vbr", 0);
    av_opt_set(encoder->priv_data, "cq", "23", 0);
  }
  {
    const auto gate = gpu->no_capture();
    if (avcodec_open2(encoder.get(), codec, nullptr) >= 0) return true;
  }
  close_gpu();
  return false;
}

// The session and what it holds of the GPU, then the surfaces.
void VideoEncoder::State::close_gpu() {
  if (!gpu) return;
  {
    const auto gate = gpu->no_capture();
    encoder.reset();
  }
  gpu.reset();
}

void VideoEncoder::State::open_encoder() {
  if (!options.device.is_cpu() && options.encoder.empty()) {
    if (try_gpu_encoder()) {
      codec_name = encoder->codec->name;
      return;
    }
    logger("video")->info(
        "'{}': no NVENC opens on {}: its pictures come down, and the CPU encodes them", path,
        to_string(options.device));
  }
  const auto codecs = available_encoders();
  for (const AVCodec* codec : codecs) {
    if (!options.encoder.empty() && options.encoder != codec->name) continue;
    if (try_encoder(*codec)) {
      codec_name = codec->name;
      return;
    }
    logger("video")->info("encoder {} does not open; trying the next", codec->name);
  }
  throw Error(ErrorCode::kOutput,
              fmt::format("'{}': libav has no encoder that takes {}x{} pictures ({} tried)", path,
                          options.width, options.height,
                          options.encoder.empty() ? "libx264, libopenh264 and mpeg4 were"
                                                  : options.encoder + " was"));
}

void VideoEncoder::State::open_file() {
  check(avformat_alloc_output_context2(&format, nullptr, "mp4", path.c_str()), "no MP4 muxer");
  stream = avformat_new_stream(format, nullptr);
  if (stream == nullptr) out_of_memory("a muxer");
  check(avcodec_parameters_from_context(stream->codecpar, encoder.get()), "stream parameters");
  stream->time_base = to_av(options.time_base);
  stream->avg_frame_rate = encoder->framerate;
  // An address such as "a:b.mp4" is a path here, not a protocol.
  check(avio_open(&format->pb, ("file:" + path).c_str(), AVIO_FLAG_WRITE), "cannot be created");
  AVDictionary* muxer = nullptr;
  av_dict_set(&muxer, "movflags", "frag_keyframe+empty_moov+default_base_moof", 0);
  // Other time bases than the one asked for would round variable frame times.
  if (options.time_base.num == 1) {
    av_dict_set_int(&muxer, "video_track_timescale", options.time_base.den, 0);
  }
  format->flags |= AVFMT_FLAG_FLUSH_PACKETS;
  const int result = avformat_write_header(format, &muxer);
  av_dict_free(&muxer);
  check(result, "the header cannot be written");
  file_time_base = stream->time_base;
  nominal_duration =
      std::max<std::int64_t>(1, av_rescale_q(1, av_inv_q(encoder->framerate), file_time_base));
}

void VideoEncoder::State::load(const Frame& frame) {
  AVFrame& target = *picture;
  if (target.buf[0] == nullptr) {
    target.format = gpu ? AV_PIX_FMT_NV12 : AV_PIX_FMT_YUV420P;
    target.width = encoder->width;
    target.height = encoder->height;
    target.colorspace = encoder->colorspace;
    target.color_range = encoder->color_range;
    if (av_frame_get_buffer(&target, 0) < 0) out_of_memory("a picture");
  }
  // The encoder may still hold the last picture's buffer.
  if (av_frame_make_writable(&target) < 0) out_of_memory("a picture");
  const bool full = frame.format == PixelFormat::kRgb24 || options.range == ColorRange::kFull;
  const auto source_format = to_av_format(frame.format);
  const std::uint8_t* planes[4] = {};
  int strides[4] = {};
  for (int i = 0; i < plane_count(frame.format); ++i) {
    planes[i] = frame.planes[static_cast<std::size_t>(i)].data;
    strides[i] = static_cast<int>(frame.planes[static_cast<std::size_t>(i)].stride);
  }
  const auto target_format = static_cast<AVPixelFormat>(target.format);
  if (source_format == target_format) {
    av_image_copy(target.data, target.linesize, planes, strides, target_format, options.width,
                  options.height);
  } else {
    converter.reset(sws_getCachedContext(
        converter.release(), options.width, options.height, source_format, options.width,
        options.height, target_format, SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
    if (!converter) out_of_memory("a converter");
    const int* matrix = sws_getCoefficients(sws_matrix(options.matrix));
    sws_setColorspaceDetails(converter.get(), matrix, full ? 1 : 0, matrix,
                             options.range == ColorRange::kFull ? 1 : 0, 0, 1 << 16, 1 << 16);
    sws_scale(converter.get(), planes, strides, 0, options.height, target.data, target.linesize);
  }
  pad_luma(target, options.width, options.height);
}

AvFrame VideoEncoder::State::on_gpu(const Frame& frame) {
  AvFrame surface;
  if (frame.device.is_cpu()) {
    load(frame);
    surface = gpu->upload(*picture);
  } else {
    surface = gpu->load(frame);
  }
  surface->colorspace = encoder->colorspace;
  surface->color_range = encoder->color_range;
  return surface;
}

void VideoEncoder::State::send(const AVFrame* frame) {
  check(avcodec_send_frame(encoder.get(), frame), "the encoder failed");
  for (;;) {
    const int result = avcodec_receive_packet(encoder.get(), packet.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    check(result, "the encoder failed");
    packet->stream_index = stream->index;
    packet->pts = packet->dts = times.front();
    times.pop_front();
    // Only the last frame's duration stays; the others end where the next begins.
    packet->duration = times.empty() ? nominal_duration : times.front() - packet->pts;
    check(av_write_frame(format, packet.get()), "cannot be written");
    check(format->pb->error, "cannot be written");
    av_packet_unref(packet.get());
  }
}

VideoEncoder::VideoEncoder(const std::string& path, const EncoderOptions& options)
    : state_(std::make_unique<State>()) {
  route_libav_log();
  if (options.width <= 0 || options.height <= 0 || options.time_base.num <= 0 ||
      options.time_base.den <= 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("'{}': cannot encode pictures of {}x{} in units of {}/{} s", path,
                    options.width, options.height, options.time_base.num, options.time_base.den));
  }
  state_->path = path;
  state_->options = options;
  state_->open_encoder();
  state_->open_file();
}

VideoEncoder::~VideoEncoder() = default;

const std::string& VideoEncoder::codec() const { return state_->codec_name; }

Device VideoEncoder::device() const { return state_->gpu ? state_->options.device : Device::cpu(); }

void VideoEncoder::write(const Frame& frame) {
  State& state = *state_;
  const bool readable = frame.device.is_cpu()
                            ? to_av_format(frame.format) != AV_PIX_FMT_NONE
                            : frame.device == device() && frame.format == PixelFormat::kNv12;
  if (frame.info.width != state.options.width || frame.info.height != state.options.height ||
      !readable) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{}' takes {}x{} pictures on {}, not {}x{} {} on {}", state.path,
                            state.options.width, state.options.height,
                            state.gpu ? "the CPU or NV12 on " + to_string(device()) : "the CPU",
                            frame.info.width, frame.info.height, to_string(frame.format),
                            to_string(frame.device)));
  }
  std::int64_t time =
      av_rescale_q(frame.info.pts, to_av(frame.info.time_base), state.file_time_base);
  if (!state.last_time) state.origin = time;
  time -= state.origin;
  if (state.last_time) time = std::max(time, *state.last_time + 1);
  state.last_time = time;
  state.times.push_back(time);
  AvFrame surface;
  if (state.gpu) {
    surface = state.on_gpu(frame);
  } else {
    state.load(frame);
  }
  AVFrame* picture = surface ? surface.get() : state.picture.get();
  picture->pts = state.frames++;
  state.send(picture);
}

void VideoEncoder::finish() {
  State& state = *state_;
  if (state.format == nullptr) return;
  state.send(nullptr);
  state.check(av_write_trailer(state.format), "cannot be completed");
  state.check(state.format->pb->error, "cannot be completed");
  state.check(avio_closep(&state.format->pb), "cannot be completed");
}

}  // namespace peregrine::video
