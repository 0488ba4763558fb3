// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "peregrine/detections.h"

namespace peregrine::track {

/// Gives detections of one stream their identities over time. Sees no pictures: an appearance-aware
/// tracker reads `Detections::embeddings`.
class Tracker {
 public:
  virtual ~Tracker() = default;
  /// Whether `update` wants `embeddings` filled before it is called.
  virtual bool wants_embeddings() const { return false; }
  /// Fills `detections.tracks` (id from 1, `kNoTrack` for a detection that belongs to no confirmed
  /// track). `seconds` is the frame's PTS and must not decrease; motion is predicted over real
  /// time, so dropped frames and variable frame rates are no special case. Boxes stay as they were
  /// detected.
  virtual void update(Detections& detections, double seconds) = 0;
  /// Forgets every track (a stream that starts anew); ids are not reused.
  virtual void reset() = 0;
};

/// ByteTrack (Zhang et al., ECCV 2022) parameters; the defaults are the paper's.
struct ByteTrackOptions {
  float high_threshold =
      0.6f;  ///< first association takes detections at or above it ("track_thresh")
  float low_threshold = 0.1f;  ///< second association takes those from here up to `high_threshold`
  float new_track_threshold = 0.7f;  ///< an unmatched detection at or above it starts a track
  float match_iou =
      0.2f;  ///< least IoU of the first association (paper: cost below 0.8 ... docs/tracking.md)
  float second_match_iou = 0.5f;  ///< least IoU of the second association
  float unconfirmed_match_iou = 0.3f;
  double lost_seconds =
      1.0;  ///< how long a lost track can be found again (paper: 30 frames at 30 fps)
  double frame_rate =
      30.0;  ///< unit of the motion model's noise: deviations are per 1/frame_rate seconds
  bool fuse_score = true;   ///< first association weighs IoU by detection score
  bool class_aware = true;  ///< never match across classes
};

std::unique_ptr<Tracker> make_byte_tracker(const ByteTrackOptions& options);

}  // namespace peregrine::track
