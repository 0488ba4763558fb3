// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "peregrine/detections.h"

namespace peregrine::track {

/// The frame that detections are of.
struct FrameStamp {
  double seconds = 0;         ///< PTS
  int width = 0, height = 0;  ///< pixels; 0 where they are not known: then there are no borders
};

/// Gives detections of one stream their identities over time. Sees no pictures: an appearance-aware
/// tracker reads `Detections::embeddings`.
class Tracker {
 public:
  virtual ~Tracker() = default;
  /// Whether `update` wants `embeddings` filled before it is called.
  virtual bool wants_embeddings() const { return false; }
  /// Fills `detections.tracks` (id from 1, `kNoTrack` for a detection that belongs to no confirmed
  /// track). PTS must not decrease; motion is predicted over real time, so dropped frames and
  /// variable frame rates are no special case. Boxes stay as they were detected.
  virtual void update(Detections& detections, const FrameStamp& frame) = 0;
  /// Forgets every track (a stream that starts anew); ids are not reused.
  virtual void reset() = 0;
};

/// ByteTrack (Zhang et al., ECCV 2022). The defaults are those of Ultralytics' bytetrack.yaml,
/// which most users know, and what ByteTrack does not have adds to them; docs/tracking.md compares
/// them with the paper's, which suit a detector trained for one kind of scene and scored by MOT17,
/// and says how each addition is left out.
struct ByteTrackOptions {
  /// First association takes detections at or above it (paper: 0.6).
  float high_threshold = 0.25f;
  /// Second association takes those from here up to `high_threshold`.
  float low_threshold = 0.1f;
  /// An unmatched detection at or above it starts a track (paper: `high_threshold` + 0.1).
  float new_track_threshold = 0.25f;
  /// A detection above it starts a track that is confirmed at once, not at its second sighting; 1
  /// leaves this out.
  float confirm_threshold = 1.0f;
  /// A detection that overlaps by more IoU than this with one that has a track starts none: it is
  /// that object once more (Shim et al., "TrackTrack", CVPR 2025: track-aware initialization). 1
  /// leaves this out.
  float duplicate_iou = 0.5f;
  /// A pair of the first association needs more IoU (times score, with `fuse_score`) than this:
  /// "match_thresh 0.8" is the cost 1 - 0.2.
  float match_iou = 0.2f;
  float second_match_iou = 0.5f;       ///< as `match_iou`, second association, never fused
  float unconfirmed_match_iou = 0.3f;  ///< as `match_iou`, tracks seen only once so far
  /// The last associations, which ByteTrack does not have (Yang et al., "C-BIoU", WACV 2023): what
  /// is still alone is compared once more with boxes that have grown by this share of their size on
  /// each side; and a track that is lost goes on as it moved before something covered it, out of
  /// the picture too. 0 leaves all of that out.
  float recovery_margin = 0.2f;
  float recovery_iou = 0.1f;  ///< as `match_iou`, of the grown boxes
  /// As `recovery_margin`, for what is alone even then; 0 leaves this association out.
  float wide_margin = 1.0f;
  float wide_iou = 0.2f;  ///< as `match_iou`, of these boxes
  /// When two objects part that hid each other, their ids change places where their sizes and
  /// courses from before say so: see `Crossings`.
  bool settle_crossings = true;
  /// How long a track that was lost can be found again (paper: 30 frames at 30 fps).
  double lost_seconds = 1.0;
  /// Unit of the motion model: its deviations are per 1 / frame_rate seconds, whatever the frame
  /// rate of the stream.
  double frame_rate = 30.0;
  /// The motion model knows a box by width and height (BoT-SORT) instead of by aspect ratio and
  /// height (ByteTrack): see `BoxState`.
  bool size_state = true;
  /// Least cosine between a detection's embedding and the mean of a track's, of a pair that may
  /// match; 0 leaves appearance out. What has no embedding is judged by its box alone. Good values
  /// depend on the ReID model.
  float appearance_threshold = 0;
  bool fuse_score = true;   ///< weigh IoU by detection score, as the paper's code does
  bool class_aware = true;  ///< never match across classes
};

/// Throws `Error(kInvalidConfig)` naming the option and its range when a threshold lies outside
/// [0, 1], `low_threshold` exceeds `high_threshold`, or a time or rate is not positive.
std::unique_ptr<Tracker> make_byte_tracker(const ByteTrackOptions& options);

/// What tracking changes for a user who asked for detections of at least `confidence`. The second
/// association needs weaker detections than that, which the user must not see unless they continue
/// a track:
///   options = options_for_confidence(options, confidence);   // once
///   detector.confidence = detector_confidence(options, confidence);
///   tracker.update(detections, frame);                       // each frame
///   drop_weak_untracked(detections, confidence);
/// Nothing weaker than `confidence` starts a track or is matched first.
ByteTrackOptions options_for_confidence(ByteTrackOptions options, float confidence);
/// The least score the detector must report: the lower of `confidence` and `low_threshold`.
float detector_confidence(const ByteTrackOptions& options, float confidence);
/// Removes detections that score below `confidence` and belong to no track. Allocates only when
/// there are any.
void drop_weak_untracked(Detections& detections, float confidence);

}  // namespace peregrine::track
