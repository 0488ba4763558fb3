// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "video/container_size.h"
#include "video/frame_maker.h"
#include "video/media_reader.h"
#include "video/single_sources.h"
#include "video/timeline.h"

namespace peregrine::video {
namespace {

class FileSource final : public Source {
 public:
  FileSource(const SourceSpec& spec, Access access, const SourceOptions& options)
      : name_(spec.name), url_(spec.url), access_(access) {
    if (options.loop > 1 && access != Access::kFile) {
      throw Error(ErrorCode::kUsage,
                  fmt::format("'{}' comes once; --loop repeats regular files", name_));
    }
    watch_.set_cancel(options.cancel);
    reader_ = std::make_unique<MediaReader>(spec.name, spec.url, access, options, watch_);
    const AVStream& stream = reader_->stream();
    info_ = describe_source(spec.name, *reader_);
    info_.frame_count *= options.loop;
    info_.duration_seconds *= static_cast<double>(options.loop);
    maker_ = FrameMaker(*reader_);
    timeline_.emplace(stream.time_base, to_av(info_.frame_rate));
    const std::int64_t origin = stream.start_time == AV_NOPTS_VALUE ? 0 : stream.start_time;
    selection_.emplace(options, stream.time_base, origin);
    first_ = options.start_seconds > 0 ? reader_->seek(selection_->start()) : reader_->read();
    if (watch_.stopped()) {
      throw Error(ErrorCode::kInterrupted, fmt::format("'{}': stopped", name_));
    }
    watch_.set_cancel(nullptr);
    // A start behind the end is an empty selection, not a broken file.
    if (!first_ && options.start_seconds <= 0) {
      throw Error(ErrorCode::kInputCorrupt,
                  fmt::format("'{}': none of its pictures can be decoded", name_));
    }
    use_size_of_first();
  }

  const SourceInfo& info() const override { return info_; }
  void interrupt() noexcept override { watch_.stop(); }
  std::int64_t corrupt_packets() const override { return reader_->corrupt_packets(); }

  SourceEvent read() override {
    while (!selection_->is_complete() && !watch_.stopped()) {
      AvFrame picture = first_ ? std::move(first_) : reader_->read();
      if (!picture) {
        check_ending();
        return EndOfStream{};
      }
      const std::int64_t pts = timeline_->next(picture->best_effort_timestamp);
      if (selection_->judge(pts) != Selection::Verdict::kTake) continue;
      Frame frame = maker_.make(std::move(picture));
      frame.info.index = selection_->index();
      frame.info.pts = pts;
      frame.info.time_base = info_.time_base;
      frame.received = reader_->packet_time();
      return frame;
    }
    return EndOfStream{};
  }

 private:
  void use_size_of_first() {
    if (!first_) return;
    AvFrame copy(av_frame_clone(first_.get()));
    if (!copy) out_of_memory("a frame");
    const Frame frame = maker_.make(std::move(copy));
    info_.width = frame.info.width;
    info_.height = frame.info.height;
  }

  void check_ending() const {
    if (reader_->ending() == MediaReader::Ending::kStopped) return;
    if (reader_->ending() != MediaReader::Ending::kEnd) {
      throw Error(ErrorCode::kInputCorrupt,
                  fmt::format("'{}' cannot be read on: {}", name_, reader_->ending_text()));
    }
    if (access_ != Access::kFile) return;
    if (const auto shortfall = find_shortfall(url_)) {
      throw Error(ErrorCode::kInputCorrupt,
                  fmt::format("'{}' is truncated: it has {} bytes of at least {}; all whole frames "
                              "of it were read",
                              name_, shortfall->present, shortfall->declared));
    }
  }

  const std::string name_;
  const std::string url_;
  const Access access_;
  Watch watch_;
  std::unique_ptr<MediaReader> reader_;
  SourceInfo info_;
  FrameMaker maker_;
  std::optional<Timeline> timeline_;
  std::optional<Selection> selection_;
  AvFrame first_;  ///< decoded while opening
};

}  // namespace

SourceInfo describe_source(const std::string& name, const MediaReader& reader) {
  const AVStream& stream = reader.stream();
  SourceInfo info;
  info.name = name;
  info.width = stream.codecpar->width;
  info.height = stream.codecpar->height;
  info.time_base = to_rational(stream.time_base);
  // A guess only reads the streams, but libav's signature cannot say so.
  const AVRational rate = av_guess_frame_rate(const_cast<AVFormatContext*>(&reader.format()),
                                              const_cast<AVStream*>(&stream), nullptr);
  if (rate.num > 0 && rate.den > 0) info.frame_rate = to_rational(rate);
  info.frame_count = stream.nb_frames;
  if (stream.duration != AV_NOPTS_VALUE) {
    info.duration_seconds = static_cast<double>(stream.duration) * av_q2d(stream.time_base);
  } else if (reader.format().duration != AV_NOPTS_VALUE) {
    info.duration_seconds = static_cast<double>(reader.format().duration) / AV_TIME_BASE;
  }
  info.codec = avcodec_get_name(stream.codecpar->codec_id);
  return info;
}

std::unique_ptr<Source> open_file_source(const SourceSpec& spec, Access access,
                                         const SourceOptions& options) {
  return std::make_unique<FileSource>(spec, access, options);
}

}  // namespace peregrine::video
