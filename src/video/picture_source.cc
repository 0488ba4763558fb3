// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/format.h>

#include "core/log.h"
#include "peregrine/error.h"
#include "video/frame_maker.h"
#include "video/single_sources.h"
#include "video/timeline.h"

namespace peregrine::video {
namespace {

constexpr AVRational kOneSecond{1, 1};

class PictureSource final : public Source {
 public:
  PictureSource(const SourceSpec& spec, const SourceOptions& options)
      : files_(spec.files), options_(options), selection_(options, kOneSecond, 0) {
    if (options.gpu.device >= 0 && options.gpu.strict) {
      throw Error(ErrorCode::kGpu,
                  fmt::format("strict GPU: '{}' holds single pictures, which are decoded on the "
                              "CPU. Drop --strict-gpu, or make a video of them",
                              spec.name));
    }
    options_.gpu = {};
    // One thread: a picture is decoded whole before the next file is opened.
    options_.decoder_threads = 1;
    info_.name = spec.name;
    info_.frame_rate = {1, 1};
    info_.frame_count = static_cast<std::int64_t>(files_.size());
    info_.duration_seconds = static_cast<double>(files_.size());
    watch_.set_cancel(options.cancel);
    first_ = next_readable();
    if (watch_.stopped()) {
      throw Error(ErrorCode::kInterrupted, fmt::format("'{}': stopped", spec.name));
    }
    watch_.set_cancel(nullptr);
    options_.cancel = nullptr;
    if (!first_) throw Error(first_error_code_, first_error_);
    info_.width = first_->info.width;
    info_.height = first_->info.height;
  }

  const SourceInfo& info() const override { return info_; }
  void interrupt() noexcept override { watch_.stop(); }
  std::int64_t corrupt_packets() const override { return unreadable_; }

  SourceEvent read() override {
    std::optional<Frame> frame = first_ ? std::exchange(first_, std::nullopt) : next_readable();
    if (!frame) return EndOfStream{};
    return *std::move(frame);
  }

 private:
  /// The next wanted picture; its position in the list is its index and its time in seconds.
  std::optional<Frame> next_readable() {
    while (next_ < files_.size() && !selection_.is_complete() && !watch_.stopped()) {
      const std::size_t position = next_++;
      if (selection_.judge(static_cast<std::int64_t>(position)) != Selection::Verdict::kTake) {
        continue;
      }
      try {
        Frame frame = decode(files_[position]);
        frame.info.index = selection_.index();
        frame.info.pts = static_cast<std::int64_t>(position);
        frame.info.time_base = info_.time_base;
        return frame;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kInterrupted) return std::nullopt;
        note_unreadable(error);
      }
    }
    return std::nullopt;
  }

  Frame decode(const std::string& path) {
    MediaReader reader(path, path, Access::kPicture, options_, watch_);
    AvFrame picture = reader.read();
    if (!picture) {
      throw Error(ErrorCode::kInputCorrupt, fmt::format("'{}' cannot be decoded", path));
    }
    if (info_.codec.empty()) info_.codec = avcodec_get_name(reader.decoder().codec());
    // Scalers of many sizes are not worth keeping: the maker lives as long as its picture's file.
    return FrameMaker(reader).make(std::move(picture));
  }

  void note_unreadable(const Error& error) {
    if (unreadable_++ == 0) {
      first_error_code_ = error.code();
      first_error_ = error.what();
    }
    logger("video")->warn("{}: picture skipped: {}", info_.name, error.what());
  }

  const std::vector<std::string> files_;
  SourceOptions options_;
  Selection selection_;
  Watch watch_;
  SourceInfo info_;
  std::size_t next_ = 0;
  std::optional<Frame> first_;
  std::atomic<std::int64_t> unreadable_{0};
  ErrorCode first_error_code_ = ErrorCode::kInputCorrupt;
  std::string first_error_ = "no picture was selected";
};

}  // namespace

std::unique_ptr<Source> open_picture_source(const SourceSpec& spec, const SourceOptions& options) {
  return std::make_unique<PictureSource>(spec, options);
}

}  // namespace peregrine::video
