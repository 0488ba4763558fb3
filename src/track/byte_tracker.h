// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "track/assignment.h"
#include "track/kalman_filter.h"
#include "track/tracker.h"

namespace peregrine::track {

/// See `make_byte_tracker`. Keeps its scratch memory between frames: a steady scene allocates
/// nothing but `Detections::tracks`.
class ByteTracker final : public Tracker {
 public:
  explicit ByteTracker(const ByteTrackOptions& options) : options_(options) {}
  bool wants_embeddings() const override { return options_.appearance_threshold > 0; }
  void update(Detections& detections, double seconds) override;
  void reset() override;

 private:
  enum class State {
    kUnconfirmed,  // seen once; a second sighting in the very next frame confirms it
    kTracked,      // seen in the last frame
    kLost,         // confirmed, unseen for up to `lost_seconds`
    kRemoved,      // leaves the list at the end of the update
  };
  struct Track {
    KalmanFilter motion;
    Box predicted;  // of `motion`, in the current frame
    State state;
    int class_id;
    std::int64_t id;  // kNoTrack until confirmed, so that ids have no gaps
    int detection;    // its detection in the current frame, or kUnassigned
    double first_seen, last_seen;
    KalmanFilter::Course whole;  // when nothing seemed to cover it
    float whole_area;            // of its box then, fading
    std::vector<float> looks;    // mean of its embeddings, the last weighing most
  };
  // One association: which pairs may match, and at what price.
  struct Stage {
    float limit_iou;
    bool fuse_score;
    float margin = 0;  // by which boxes grow before they are compared, of their size, on each side
  };

  void predict(double seconds);
  void split_by_score(const Detections& detections);
  void split_by_state();
  void set_lost_aside();
  void associate(const Detections& detections, std::vector<int>& tracks, std::vector<int>& found,
                 const Stage& stage);
  void lose(Track& track);
  bool recovers() const { return options_.recovery_margin > 0; }
  void recover(const Detections& detections, std::vector<int>& tracks);
  void fill_costs(const Detections& detections, const std::vector<int>& tracks,
                  const std::vector<int>& found, const Stage& stage);
  void remember_whole(Track& track, const Box& box) const;
  bool may_look_alike(std::span<const float> a, std::span<const float> b) const;
  void remember_looks(Track& track, const Detections& detections, int detection) const;
  void match(Track& track, int detection, const Detections& detections);
  void start_tracks(const Detections& detections, bool confirmed);
  void remove_duplicates();
  bool classes_may_match(int a, int b) const { return !options_.class_aware || a == b; }

  ByteTrackOptions options_;
  std::vector<Track> tracks_;  // in order of first sight
  std::int64_t next_id_ = 1;
  double now_ = 0;
  bool started_ = false;

  // Scratch: indices into the detections or into `tracks_`.
  std::vector<int> high_, low_, pool_, lost_, unconfirmed_;
  std::vector<float> costs_;
  std::vector<char> matched_;
  Assignment assignment_;
};

}  // namespace peregrine::track
