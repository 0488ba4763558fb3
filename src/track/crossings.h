// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "track/track.h"

namespace peregrine::track {

/// Who is who after two objects hid each other.
///
/// While one passes behind the other, boxes say little about which is which: the hidden one's box
/// shrinks to what is left of it, vanishes, and comes out on the other side, and overlap alone may
/// give it to the wrong track. So when two tracks come together, their courses from before are
/// kept; when both are seen apart again, the two ids change places if that needs clearly less
/// change of height and velocity than leaving them does.
class Crossings {
 public:
  /// After the associations of a frame. `steps` is the motion model's steps in a second; classes
  /// meet only their own when `class_aware`.
  void settle(std::vector<Track>& tracks, double now, double steps, bool class_aware);
  void clear() { open_.clear(); }

 private:
  struct Crossing {
    std::int64_t first, second;  // ids
    KalmanFilter::Course first_was, second_was;
  };
  void open(const std::vector<Track>& tracks, double now, bool class_aware);

  std::vector<Crossing> open_;
};

}  // namespace peregrine::track
