// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "track/assignment.h"
#include "track/crossings.h"
#include "track/track.h"
#include "track/tracker.h"

namespace peregrine::track {

/// See `make_byte_tracker`. Keeps its scratch memory between frames: a steady scene allocates
/// nothing but `Detections::tracks`.
class ByteTracker final : public Tracker {
 public:
  explicit ByteTracker(const ByteTrackOptions& options) : options_(options) {}
  bool wants_embeddings() const override { return options_.appearance_threshold > 0; }
  void update(Detections& detections, const FrameStamp& frame) override;
  void reset() override;

 private:
  using State = TrackState;
  // One association: which pairs may match, and at what price.
  struct Stage {
    float limit_iou;
    bool fuse_score;
    float margin = 0;  // by which boxes grow before they are compared, of their size, on each side
  };

  void predict(const FrameStamp& frame);
  void stay_in_picture();
  void split_by_score(const Detections& detections);
  void split_by_state();
  void set_lost_aside();
  void associate(const Detections& detections, std::vector<int>& tracks, std::vector<int>& found,
                 const Stage& stage);
  void lose(Track& track);
  void hold_inner_edges(Track& track, const Box& before) const;
  bool recovers() const { return options_.recovery_margin > 0; }
  bool knows_picture() const { return width_ > 0 && height_ > 0; }
  void recover(const Detections& detections, std::vector<int>& tracks);
  void fill_costs(const Detections& detections, const std::vector<int>& tracks,
                  const std::vector<int>& found, const Stage& stage);
  bool is_duplicate(const Detections& detections, int detection) const;
  void remember_whole(Track& track, const Box& box) const;
  bool may_look_alike(std::span<const float> a, std::span<const float> b) const;
  void remember_looks(Track& track, const Detections& detections, int detection) const;
  void match(Track& track, int detection, const Detections& detections);
  void start_tracks(const Detections& detections, bool first_frame);
  void remove_duplicates();
  bool classes_may_match(int a, int b) const { return !options_.class_aware || a == b; }

  ByteTrackOptions options_;
  std::vector<Track> tracks_;  // in order of first sight
  Crossings crossings_;
  std::int64_t next_id_ = 1;
  double now_ = 0;
  float width_ = 0, height_ = 0;  // of the picture, or 0
  bool started_ = false;

  // Scratch: indices into the detections or into `tracks_`.
  std::vector<int> high_, low_, pool_, lost_, unconfirmed_;
  std::vector<float> costs_;
  std::vector<char> matched_;
  Assignment assignment_;
};

}  // namespace peregrine::track
