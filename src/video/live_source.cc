// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "core/log.h"
#include "peregrine/error.h"
#include "video/frame_maker.h"
#include "video/single_sources.h"
#include "video/timeline.h"

namespace peregrine::video {
namespace {

/// Waiting times between attempts to connect: doubling, each a quarter longer or shorter at random,
/// so that a site full of cameras does not knock at its switch in step.
class BackOff {
 public:
  BackOff(double min_seconds, double max_seconds)
      : min_(min_seconds), max_(std::max(min_seconds, max_seconds)) {}
  double next() {
    const double plain = std::min(max_, min_ * std::exp2(attempt_++));
    return std::clamp(plain * jitter_(random_), min_, max_);
  }
  void reset() { attempt_ = 0; }
  int attempts() const { return attempt_; }

 private:
  double min_, max_;
  int attempt_ = 0;
  std::mt19937 random_{std::random_device{}()};
  std::uniform_real_distribution<double> jitter_{0.75, 1.25};
};

class LiveSource final : public Source {
 public:
  LiveSource(const SourceSpec& spec, const SourceOptions& options)
      : spec_(spec),
        options_(options),
        back_off_(options.backoff_min_seconds, options.backoff_max_seconds) {
    watch_.set_cancel(options.cancel);
    connect();
    info_ = describe_source(spec.name, *reader_);
    info_.live = true;
    pending_ = reader_->read();
    if (watch_.stopped()) {
      throw Error(ErrorCode::kInterrupted, fmt::format("'{}': stopped", spec_.name));
    }
    if (!pending_) {
      throw Error(ErrorCode::kInputNotFound, fmt::format("'{}' answered but sent no picture: {}",
                                                         spec_.name, reader_->ending_text()));
    }
    watch_.set_cancel(nullptr);
    options_.cancel = nullptr;
    timeline_.emplace(reader_->stream().time_base, to_av(info_.frame_rate));
    const std::int64_t first = pending_->best_effort_timestamp;
    selection_.emplace(options, reader_->stream().time_base, first == AV_NOPTS_VALUE ? 0 : first);
  }

  const SourceInfo& info() const override { return info_; }
  void interrupt() noexcept override { watch_.stop(); }
  std::int64_t corrupt_packets() const override { return corrupt_; }

  SourceEvent read() override {
    while (!selection_->is_complete() && !watch_.stopped()) {
      AvFrame picture = pending_ ? std::move(pending_) : reader_ ? reader_->read() : nullptr;
      update_corrupt();
      if (!picture) {
        if (watch_.stopped() || has_ended() || !reconnect()) break;
        continue;
      }
      if (lost_) return resume(std::move(picture));
      if (auto frame = accept(std::move(picture))) return *std::move(frame);
    }
    return EndOfStream{};
  }

 private:
  using Clock = Watch::Clock;

  void connect() {
    reader_ = std::make_unique<MediaReader>(spec_.name, spec_.url, Access::kLive, options_, watch_,
                                            &kept_);
    maker_ = FrameMaker(*reader_);
  }

  /// A recording served like a camera says how long it is and then ends.
  bool has_ended() const {
    return reader_ && reader_->ending() == MediaReader::Ending::kEnd && info_.duration_seconds > 0;
  }

  /// Tries until there is a picture in `pending_`; false when stopped or out of attempts.
  bool reconnect() {
    if (!lost_) {
      lost_ = reader_->ending() == MediaReader::Ending::kStalled ? "stalled" : "connection lost";
      logger("video")->warn("{}: {}; reconnecting", spec_.name, *lost_);
    }
    forget_reader();
    while (options_.max_reconnects < 0 || back_off_.attempts() < options_.max_reconnects) {
      if (!watch_.sleep(back_off_.next())) return false;
      try {
        connect();
        pending_ = reader_->read();
        update_corrupt();
        if (pending_) return true;
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kInterrupted) return false;
        // Memory comes back, too: another stream may have taken it while it reconnected.
        const bool may_pass = error.code() == ErrorCode::kInputNotFound ||
                              error.code() == ErrorCode::kInputCorrupt ||
                              error.code() == ErrorCode::kOutOfMemory;
        if (!may_pass) throw;
        logger("video")->info("{}: attempt {}: {}", spec_.name, back_off_.attempts(), error.what());
      }
      forget_reader();
    }
    throw Error(ErrorCode::kInputNotFound,
                fmt::format("'{}': {}, and {} attempts to reconnect failed", spec_.name, *lost_,
                            options_.max_reconnects));
  }

  /// The gap before the first picture of a new connection, which `pending_` keeps for the next
  /// read. Its time is the last frame's plus the time that really passed, so the stream stays on
  /// one clock whatever the server's new clock says.
  SourceEvent resume(AvFrame picture) {
    const double away = std::chrono::duration<double>(Clock::now() - last_arrival_).count();
    const double unit = info_.time_base.value();
    const std::int64_t last = timeline_->last().value_or(0);
    const std::int64_t next = last + std::max<std::int64_t>(1, std::llround(away / unit));
    timeline_->resume(stated_time(*picture), next);
    pending_ = std::move(picture);
    back_off_.reset();
    return StreamGap{.stream = 0,
                     .from_seconds = static_cast<double>(last) * unit,
                     .to_seconds = static_cast<double>(next) * unit,
                     .reason = *std::exchange(lost_, std::nullopt)};
  }

  std::optional<Frame> accept(AvFrame picture) {
    const std::int64_t pts = timeline_->next(stated_time(*picture));
    last_arrival_ = Clock::now();
    if (selection_->judge(pts) != Selection::Verdict::kTake) return std::nullopt;
    Frame frame = maker_.make(std::move(picture));
    frame.info.index = selection_->index();
    frame.info.pts = pts;
    frame.info.time_base = info_.time_base;
    frame.received = reader_->packet_time();
    return frame;
  }

  /// In `info_.time_base`: a new connection may count in other units.
  std::int64_t stated_time(const AVFrame& picture) const {
    if (picture.best_effort_timestamp == AV_NOPTS_VALUE) return AV_NOPTS_VALUE;
    return av_rescale_q(picture.best_effort_timestamp, reader_->stream().time_base,
                        to_av(info_.time_base));
  }

  void update_corrupt() {
    if (reader_) corrupt_ = corrupt_before_ + reader_->corrupt_packets();
  }

  void forget_reader() {
    corrupt_before_ = corrupt_;
    if (reader_) kept_ = reader_->give_up_decoder();
    reader_.reset();
  }

  const SourceSpec spec_;
  SourceOptions options_;
  Watch watch_;
  BackOff back_off_;
  std::unique_ptr<StreamDecoder> kept_;  ///< between two connections
  std::unique_ptr<MediaReader> reader_;
  FrameMaker maker_;
  SourceInfo info_;
  std::optional<Timeline> timeline_;
  std::optional<Selection> selection_;
  AvFrame pending_;                  ///< decoded, but something else had to be said first
  std::optional<std::string> lost_;  ///< why the connection was lost, until the gap is reported
  Clock::time_point last_arrival_ = Clock::now();
  std::int64_t corrupt_before_ = 0;  ///< of earlier connections
  std::atomic<std::int64_t> corrupt_{0};
};

}  // namespace

std::unique_ptr<Source> open_live_source(const SourceSpec& spec, const SourceOptions& options) {
  return std::make_unique<LiveSource>(spec, options);
}

}  // namespace peregrine::video
