// SPDX-License-Identifier: Apache-2.0
#include "video/media_reader.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/log.h"
#include "core/stopwatch.h"
#include "peregrine/error.h"
#include "video/container_size.h"

namespace peregrine::video {
namespace {

// A local file that gives no packet for this long is garbage in which a demuxer searches, or a
// dead network mount.
constexpr double kFileSeconds = 20;
constexpr double kHttpSeconds = 30;  // per packet, libav's own reconnects included
constexpr double kForever = 1e8;
// Demuxers step over what they cannot read; one that keeps failing has stopped stepping.
constexpr int kMaxBadReads = 1000;
constexpr std::int64_t kMicroseconds = 1000000;

/// A string dictionary for libav; what is left after a call are options nobody knew.
class Options {
 public:
  ~Options() { av_dict_free(&dictionary_); }
  void set(const char* key, const char* value) { av_dict_set(&dictionary_, key, value, 0); }
  void set(const char* key, std::int64_t value) { av_dict_set_int(&dictionary_, key, value, 0); }
  AVDictionary** get() { return &dictionary_; }

 private:
  AVDictionary* dictionary_ = nullptr;
};

void set_network_options(Options& options, Access access, double stall_seconds) {
  const auto silence = static_cast<std::int64_t>(stall_seconds * kMicroseconds);
  if (access == Access::kHttp) {
    options.set("timeout", silence);
    options.set("reconnect", 1);
    options.set("reconnect_delay_max", 8);
    return;
  }
  options.set("rtsp_transport", "tcp");
#if LIBAVFORMAT_VERSION_MAJOR >= 59
  options.set("timeout", silence);
#else
  options.set("stimeout", silence);
#endif
}

void check_is_readable(const std::string& name, const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    const bool address = path.find("://") != std::string::npos;
    const char* what =
        address ? "is no file, and none of rtsp, rtsps, http and https" : "not found";
    throw Error(ErrorCode::kInputNotFound, fmt::format("'{}': {}", name, what));
  }
  if (error) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("'{}' cannot be opened: {}", name, error.message()));
  }
  if (std::filesystem::is_regular_file(status) && std::filesystem::file_size(path, error) == 0) {
    throw Error(ErrorCode::kInputCorrupt, fmt::format("'{}' is empty", name));
  }
}

}  // namespace

MediaReader::MediaReader(std::string name, const std::string& url, Access access,
                         const SourceOptions& options, Watch& watch,
                         std::unique_ptr<StreamDecoder>* kept)
    : name_(std::move(name)),
      access_(access),
      options_(options),
      watch_(watch),
      packet_(make_av_packet()),
      rounds_left_(options.loop - 1) {
  route_libav_log();
  const bool network = access == Access::kHttp || access == Access::kLive;
  watch_.arm(network                   ? options_.connect_seconds
             : access == Access::kPipe ? kForever
                                       : kFileSeconds);
  open_container(url);
  if (access_ != Access::kPicture) probe();
  watch_.disarm();
  choose_stream();
  open_decoder(kept);
}

void MediaReader::open_container(const std::string& url) {
  AVFormatContext* format = avformat_alloc_context();
  if (format == nullptr) out_of_memory("a demuxer");
  format_.reset(format);
  format->interrupt_callback = {&Watch::interrupt_callback, &watch_};

  Options options;
  std::string libav_name = url;
  if (access_ == Access::kFile || access_ == Access::kPicture) {
    check_is_readable(name_, url);
    io_ = InputIo::file(url, watch_);
    options.set("protocol_whitelist", "file");  // a playlist on the disk must not reach out
    if (access_ == Access::kPicture) libav_name.clear();
  } else if (access_ == Access::kPipe) {
    io_ = InputIo::pipe(url, watch_);
    libav_name.clear();
    options.set("protocol_whitelist", "file");
  } else {
    set_network_options(options, access_, options_.stall_seconds);
  }
  if (io_) format->pb = io_->context();

  format = format_.release();  // avformat_open_input frees it when it fails
  const int result = avformat_open_input(&format, libav_name.c_str(), nullptr, options.get());
  format_.reset(format);
  if (result >= 0) return;

  if (watch_.stopped()) throw Error(ErrorCode::kInterrupted, fmt::format("'{}': stopped", name_));
  const bool network = access_ == Access::kHttp || access_ == Access::kLive;
  if (network && watch_.expired()) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("'{}' did not answer within {:g} s", name_, options_.connect_seconds));
  }
  const bool corrupt = result == AVERROR_INVALIDDATA || result == AVERROR_EOF || !network;
  if (corrupt && access_ != Access::kLive) {
    throw Error(ErrorCode::kInputCorrupt,
                fmt::format("'{}' is no video or picture that libav recognises, or its header is "
                            "damaged ({})",
                            name_, av_error_text(result)));
  }
  throw Error(ErrorCode::kInputNotFound,
              fmt::format("'{}' cannot be reached: {}", name_, av_error_text(result)));
}

void MediaReader::probe() {
  // Looking for missing facts costs a live stream latency, and libav decodes while it looks: it
  // must not allocate what the size limit forbids.
  if (access_ == Access::kLive) {
    format_->max_analyze_duration = 2 * kMicroseconds;
    format_->fps_probe_size = 0;  // 20 frames by default
  }
  const std::int64_t max_pixels = std::int64_t{options_.max_side} * options_.max_side;
  const unsigned count = format_->nb_streams;
  std::vector<AVDictionary*> dictionaries(count, nullptr);
  for (unsigned i = 0; i < count; ++i) {
    av_dict_set_int(&dictionaries[i], "max_pixels", max_pixels, 0);
  }
  const int result = avformat_find_stream_info(format_.get(), dictionaries.data());
  for (AVDictionary*& each : dictionaries) av_dict_free(&each);
  if (watch_.stopped()) throw Error(ErrorCode::kInterrupted, fmt::format("'{}': stopped", name_));
  if (watch_.expired()) {
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("'{}' opened but sent no picture in time", name_));
  }
  if (result < 0) {
    throw Error(ErrorCode::kInputCorrupt,
                fmt::format("'{}': no stream can be read ({})", name_, av_error_text(result)));
  }
}

void MediaReader::choose_stream() {
  const int best = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  // A cover picture is not a video, though libav lists it as one.
  if (best < 0 || (format_->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
    throw Error(ErrorCode::kInputUnsupported,
                fmt::format("'{}' ({}) has no video stream{}", name_, format_->iformat->long_name,
                            format_->nb_streams > 0 ? "; it holds only sound or data" : ""));
  }
  stream_ = format_->streams[best];
  // Elsewhere the flag marks a packet cut short. MPEG-TS sets it for every break in a counter, also
  // where recordings were joined and nothing is missing: there the decoder judges.
  trusts_corrupt_flag_ = std::string_view(format_->iformat->name) != "mpegts";
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    if (static_cast<int>(i) != best) format_->streams[i]->discard = AVDISCARD_ALL;
  }
}

void MediaReader::open_decoder(std::unique_ptr<StreamDecoder>* kept) {
  if (kept != nullptr && *kept != nullptr) {
    decoder_ = std::move(*kept);
    if (decoder_->go_on_with(*stream_)) {
      logger("video")->debug("{}: goes on in the decoder that it had", name_);
      return;
    }
    decoder_.reset();  // its memory is free for the next one
  }
  // A live stream should not wait for pictures that a decoder holds back.
  const bool low_delay = access_ == Access::kLive || options_.paced;
  decoder_ = std::make_unique<StreamDecoder>(name_, *stream_, options_, low_delay);
}

std::unique_ptr<StreamDecoder> MediaReader::give_up_decoder() {
  return decoder_->may_go_on() ? std::move(decoder_) : nullptr;
}

AvFrame MediaReader::read() {
  AvFrame frame = make_av_frame();
  for (;;) {
    if (watch_.stopped()) {
      ending_ = Ending::kStopped;
      return nullptr;
    }
    using Outcome = StreamDecoder::Outcome;
    switch (decoder_->receive(*frame)) {
      case Outcome::kPicture:
        if (frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
          ++corrupt_;
        }
        if (frame->width <= 0 || frame->height <= 0 || frame->data[0] == nullptr) break;
        rounds_without_frame_ = 0;
        return frame;
      case Outcome::kHungry:
        if (ending_ != Ending::kNone) return nullptr;
        feed();
        break;
      case Outcome::kDamaged:
        ++corrupt_;
        if (ending_ != Ending::kNone && ++bad_reads_ > kMaxBadReads) return nullptr;
        break;
      case Outcome::kLeftGpu: start_over(); break;
      case Outcome::kEnd: return nullptr;
    }
  }
}

void MediaReader::start_over() {
  ending_ = Ending::kNone;
  wait_for_key_ = true;
  // Nothing has come out yet: what can go back to the start loses nothing.
  if (access_ == Access::kFile) move_to_start();
}

void MediaReader::feed() {
  const double patience = access_ == Access::kLive   ? options_.stall_seconds
                          : access_ == Access::kHttp ? kHttpSeconds
                          : access_ == Access::kPipe ? kForever
                                                     : kFileSeconds;
  // Armed once a packet: errors on the way to it must not start the time again.
  if (!watch_.armed()) watch_.arm(patience);
  const int result = av_read_frame(format_.get(), packet_.get());
  if (result == AVERROR(EAGAIN)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return;
  }
  if (result == AVERROR_INVALIDDATA && ++bad_reads_ <= kMaxBadReads && !watch_.expired()) {
    ++corrupt_;
    return;
  }
  if (result == AVERROR_EOF) {
    watch_.disarm();
    if (begin_round()) return;
  }
  if (result < 0) return end(result);
  // When a live stream's time is over, libav first hands out the packet it held back to complete;
  // the next read then says that time is over.
  if (access_ != Access::kLive || !watch_.expired()) watch_.disarm();

  const AVPacket& packet = *packet_;
  const bool ours = packet.stream_index == stream_->index && packet.size > 0;
  const bool damaged = trusts_corrupt_flag_ && (packet.flags & AV_PKT_FLAG_CORRUPT) != 0;
  if (ours) packet_time_ = steady_nanoseconds();
  if (ours && damaged) ++corrupt_;
  if (ours && !damaged && (!wait_for_key_ || (packet.flags & AV_PKT_FLAG_KEY) != 0)) {
    wait_for_key_ = false;
    bad_reads_ = 0;
    if (options_.loop > 1) shift(*packet_);
    if (!decoder_->send(packet)) ++corrupt_;
  }
  av_packet_unref(packet_.get());
}

void MediaReader::end(int error) {
  ending_error_ = error;
  ending_ = error == AVERROR_EOF          ? Ending::kEnd
            : watch_.stopped()            ? Ending::kStopped
            : watch_.expired()            ? Ending::kStalled
            : error == AVERROR(ETIMEDOUT) ? Ending::kStalled
                                          : Ending::kFailed;
  watch_.disarm();
  // The frames inside still come out; a live stream's decoder without any can be given up.
  if (access_ != Access::kLive || !decoder_->may_go_on()) decoder_->drain();
}

std::string MediaReader::ending_text() const {
  return ending_ == Ending::kStalled ? "stalled" : av_error_text(ending_error_);
}

bool MediaReader::move_to(std::int64_t position, int flags) {
  watch_.arm(kFileSeconds);
  const int result = av_seek_frame(format_.get(), stream_->index, position, flags);
  watch_.disarm();
  if (result < 0) return false;
  wait_for_key_ = true;
  ending_ = Ending::kNone;
  return true;
}

bool MediaReader::move_to_start() {
  // An elementary stream has no times to search for. Before the first time: seeks without an index
  // compare decoding times, which come earlier.
  const bool timeless = stream_->start_time == AV_NOPTS_VALUE;
  return (timeless && move_to(0, AVSEEK_FLAG_BYTE)) || move_to(start_time() - second()) ||
         move_to(start_time());
}

std::int64_t MediaReader::start_time() const {
  return stream_->start_time == AV_NOPTS_VALUE ? 0 : stream_->start_time;
}

std::int64_t MediaReader::second() const {
  return std::max<std::int64_t>(1, av_rescale(1, stream_->time_base.den, stream_->time_base.num));
}

// Behind the last packet comes the first one again, and the decoder is not emptied between them: a
// flush of libav's H.264 decoder makes NVDEC's anew, for which all others of the GPU wait.
bool MediaReader::begin_round() {
  constexpr int kMostWithoutAFrame = 32;  // a short file may end before its first frame comes out
  if (rounds_left_ == 0 || ++rounds_without_frame_ > kMostWithoutAFrame) return false;
  if (find_shortfall(format_->url)) return false;
  if (!move_to_start()) {
    throw Error(ErrorCode::kInputUnsupported,
                fmt::format("'{}' cannot be read from its beginning again; leave out --loop, or "
                            "name it several times",
                            name_));
  }
  --rounds_left_;
  if (round_start_) shift_ += *round_end_ - *round_start_;
  return true;
}

void MediaReader::shift(AVPacket& packet) {
  if (packet.pts != AV_NOPTS_VALUE) {
    std::int64_t duration = packet.duration;
    if (duration <= 0) {
      const AVRational rate = av_guess_frame_rate(format_.get(), stream_, nullptr);
      duration = rate.num > 0 ? av_rescale_q(1, av_inv_q(rate), stream_->time_base) : 0;
    }
    const std::int64_t end = packet.pts + std::max<std::int64_t>(1, duration);
    round_start_ = std::min(round_start_.value_or(packet.pts), packet.pts);
    round_end_ = std::max(round_end_.value_or(end), end);
    packet.pts += shift_;
  }
  if (packet.dts != AV_NOPTS_VALUE) packet.dts += shift_;
}

AvFrame MediaReader::seek(std::int64_t timestamp) {
  const std::int64_t first = start_time(), one_second = second();
  // Formats without an index (MPEG-TS) land anywhere near: then the first whole frame may lie
  // behind the target, so step further and further back.
  for (std::int64_t back = 0;; back = back == 0 ? one_second : 2 * back) {
    const std::int64_t target = timestamp - back;
    const bool to_start = target <= first;
    const bool moved = to_start ? move_to_start() : move_to(target);
    if (!moved) return read();
    decoder_->flush();
    AvFrame frame = read();
    const bool before = frame && (frame->best_effort_timestamp == AV_NOPTS_VALUE ||
                                  frame->best_effort_timestamp <= timestamp);
    if (before || to_start || watch_.stopped()) return frame;
  }
}

}  // namespace peregrine::video
