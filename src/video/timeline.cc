// SPDX-License-Identifier: Apache-2.0
#include "video/timeline.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace peregrine::video {
namespace {

constexpr AVRational kMicrosecond{1, 1000000};

// Rounded up: the first frame not before the time meant.
std::int64_t seconds_to_units(double seconds, AVRational time_base) {
  return av_rescale_q_rnd(std::llround(seconds * 1e6), kMicrosecond, time_base, AV_ROUND_UP);
}

}  // namespace

Timeline::Timeline(AVRational time_base, AVRational frame_rate)
    : time_base_(time_base),
      frame_rate_(frame_rate.num > 0 && frame_rate.den > 0 ? frame_rate : AVRational{25, 1}),
      second_(std::max<std::int64_t>(1, av_rescale(1, time_base.den, time_base.num))) {}

std::int64_t Timeline::frames_to_units(std::int64_t frames) const {
  return av_rescale_q(frames, av_inv_q(frame_rate_), time_base_);
}

std::int64_t Timeline::next(std::int64_t stated) {
  if (stated == AV_NOPTS_VALUE) {
    const std::int64_t counted = anchor_ + frames_to_units(frames_since_anchor_);
    const std::int64_t pts = last_ ? std::max(counted, *last_ + 1) : counted;
    ++frames_since_anchor_;
    last_ = pts;
    return pts;
  }
  std::int64_t pts = stated + offset_;
  if (last_ && pts <= *last_) {
    if (*last_ - pts > second_) {
      pts = *last_ + std::max<std::int64_t>(1, frames_to_units(1));
      resume(stated, pts);
    } else {
      pts = *last_ + 1;
    }
  }
  anchor_ = pts;
  frames_since_anchor_ = 1;
  last_ = pts;
  return pts;
}

void Timeline::resume(std::int64_t stated, std::int64_t pts) {
  if (stated != AV_NOPTS_VALUE) offset_ = pts - stated;
  anchor_ = pts;
  frames_since_anchor_ = 0;
}

Selection::Selection(const SourceOptions& options, AVRational time_base, std::int64_t origin)
    : start_(options.start_seconds > 0 ? origin + seconds_to_units(options.start_seconds, time_base)
                                       : std::numeric_limits<std::int64_t>::min()),
      end_(options.end_seconds > 0 ? origin + seconds_to_units(options.end_seconds, time_base)
                                   : std::numeric_limits<std::int64_t>::max()),
      every_(std::max<std::int64_t>(1, options.every)),
      left_(options.max_frames > 0 ? options.max_frames
                                   : std::numeric_limits<std::int64_t>::max()) {}

Selection::Verdict Selection::judge(std::int64_t pts) {
  if (pts < start_) return Verdict::kSkip;
  if (pts >= end_) {
    complete_ = true;
    return Verdict::kEnd;
  }
  if (next_index_++ % every_ != 0) return Verdict::kSkip;
  if (--left_ == 0) complete_ = true;
  return Verdict::kTake;
}

}  // namespace peregrine::video
