// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "video/libav.h"
#include "video/source.h"

namespace peregrine::video {

/// Gives each frame a time that rises, in the stream's units. Times that the container states pass
/// unchanged as long as they rise. A missing one continues at the nominal frame rate; one that does
/// not rise becomes one unit after the frame before; after a step back of over a second (joined
/// recordings) all later times are shifted, so that the stream goes on where it was.
class Timeline {
 public:
  /// `frame_rate` {0, 1} counts as 25.
  Timeline(AVRational time_base, AVRational frame_rate);
  /// `stated` may be AV_NOPTS_VALUE.
  std::int64_t next(std::int64_t stated);
  /// Shifts what comes so that the next frame, stated as `stated`, gets the time `pts`.
  void resume(std::int64_t stated, std::int64_t pts);
  std::optional<std::int64_t> last() const { return last_; }

 private:
  std::int64_t frames_to_units(std::int64_t frames) const;

  AVRational time_base_;
  AVRational frame_rate_;
  std::int64_t second_;
  std::int64_t offset_ = 0;
  std::optional<std::int64_t> last_;
  // Missing times count frames from here, so that rounding does not add up.
  std::int64_t anchor_ = 0;
  std::int64_t frames_since_anchor_ = 0;
};

/// Which frames of a stream the user wants.
class Selection {
 public:
  enum class Verdict : std::uint8_t { kTake, kSkip, kEnd };

  /// `origin`: the stream's first time, from which start and end count, in units of `time_base`.
  Selection(const SourceOptions& options, AVRational time_base, std::int64_t origin);
  /// Judges the next frame, in order. Frames before the start have no index.
  Verdict judge(std::int64_t pts);
  /// No further frame can be wanted.
  bool is_complete() const { return complete_; }
  /// Index of the frame judged last.
  std::int64_t index() const { return next_index_ - 1; }
  /// First time wanted.
  std::int64_t start() const { return start_; }

 private:
  std::int64_t start_;
  std::int64_t end_;
  std::int64_t every_;
  std::int64_t left_;
  std::int64_t next_index_ = 0;
  bool complete_ = false;
};

}  // namespace peregrine::video
