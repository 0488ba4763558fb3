// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "peregrine/detections.h"
#include "track/kalman_filter.h"

namespace peregrine::track {

enum class TrackState {
  kUnconfirmed,  // seen once; a second sighting in the very next frame confirms it
  kTracked,      // seen in the last frame
  kLost,         // confirmed, unseen for up to `lost_seconds`
  kRemoved,      // leaves the list at the end of the update
};

/// What a tracker knows of one object.
struct Track {
  KalmanFilter motion;
  Box predicted;  // of `motion`, in the current frame, within the picture
  Box seen;       // its last detection
  TrackState state;
  int class_id;
  std::int64_t id;  // kNoTrack until confirmed, so that ids have no gaps
  int detection;    // its detection in the current frame, or kUnassigned
  double first_seen, last_seen;
  KalmanFilter::Course whole;  // when nothing seemed to cover it
  float whole_area;            // of its box then, fading
  std::vector<float> looks;    // mean of its embeddings, the last weighing most
};

}  // namespace peregrine::track
