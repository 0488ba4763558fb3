// SPDX-License-Identifier: Apache-2.0
#include "track/tracker.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "track/byte_tracker.h"

namespace peregrine::track {
namespace {

constexpr float kWidestMargin = 10;

void require_share(const char* name, float value) {
  if (value >= 0 && value <= 1) return;
  throw Error(ErrorCode::kInvalidConfig,
              fmt::format("tracker: {} is {}; it must lie in [0, 1]", name, value));
}

void require_positive(const char* name, double value) {
  if (std::isfinite(value) && value > 0) return;
  throw Error(ErrorCode::kInvalidConfig,
              fmt::format("tracker: {} is {}; it must be a positive number", name, value));
}

}  // namespace

std::unique_ptr<Tracker> make_byte_tracker(const ByteTrackOptions& options) {
  require_share("high_threshold", options.high_threshold);
  require_share("low_threshold", options.low_threshold);
  require_share("new_track_threshold", options.new_track_threshold);
  require_share("confirm_threshold", options.confirm_threshold);
  require_share("duplicate_iou", options.duplicate_iou);
  require_share("match_iou", options.match_iou);
  require_share("second_match_iou", options.second_match_iou);
  require_share("unconfirmed_match_iou", options.unconfirmed_match_iou);
  require_share("recovery_margin", options.recovery_margin);
  require_share("recovery_iou", options.recovery_iou);
  require_share("wide_iou", options.wide_iou);
  require_share("appearance_threshold", options.appearance_threshold);
  if (!(options.wide_margin >= 0 && options.wide_margin <= kWidestMargin)) {
    throw Error(ErrorCode::kInvalidConfig,
                fmt::format("tracker: wide_margin is {}; it must lie in [0, {}]",
                            options.wide_margin, kWidestMargin));
  }
  require_positive("lost_seconds", options.lost_seconds);
  require_positive("frame_rate", options.frame_rate);
  if (options.low_threshold > options.high_threshold) {
    throw Error(ErrorCode::kInvalidConfig,
                fmt::format("tracker: low_threshold {} exceeds high_threshold {}; the second "
                            "association takes detections between the two",
                            options.low_threshold, options.high_threshold));
  }
  return std::make_unique<ByteTracker>(options);
}

ByteTrackOptions options_for_confidence(ByteTrackOptions options, float confidence) {
  options.high_threshold = std::max(options.high_threshold, confidence);
  options.new_track_threshold = std::max(options.new_track_threshold, confidence);
  return options;
}

float detector_confidence(const ByteTrackOptions& options, float confidence) {
  return std::min(confidence, options.low_threshold);
}

void drop_weak_untracked(Detections& detections, float confidence) {
  const auto stays = [&](std::size_t i) {
    return detections.scores[i] >= confidence ||
           (!detections.tracks.empty() && detections.tracks[i] != kNoTrack);
  };
  std::vector<int> kept;
  std::size_t first = 0;
  while (first < detections.size() && stays(first)) ++first;
  if (first == detections.size()) return;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    if (stays(i)) kept.push_back(static_cast<int>(i));
  }
  detections = detections.select(kept);
}

}  // namespace peregrine::track
