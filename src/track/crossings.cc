// SPDX-License-Identifier: Apache-2.0
#include "track/crossings.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace peregrine::track {
namespace {

// Two are together while they share this much of the smaller box.
constexpr float kTogether = 0.4f;
// A track younger than this, in seconds, has no course to be known by yet.
constexpr double kKnown = 0.3;
// What a change of height by a factor of e weighs, in changes of velocity by one's own size a
// second; and by how much an exchange must be better.
constexpr double kHeightWeight = 4, kClearly = 0.4;

float shared(const Box& a, const Box& b) {
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(width > 0) || !(height > 0)) return 0;
  return width * height / std::min(a.area(), b.area());
}

bool is_known(const Track& track, double now) {
  return track.state != TrackState::kUnconfirmed && now - track.first_seen >= kKnown;
}

// How much an object must have changed to be now what `track` is.
double change(const KalmanFilter::Course& was, const Track& track, double steps) {
  const KalmanFilter::Course is = track.motion.course();
  const double size = std::sqrt(was.width * was.height);
  const double velocity =
      std::hypot(is.velocity_x - was.velocity_x, is.velocity_y - was.velocity_y) * steps / size;
  return kHeightWeight * std::abs(std::log(is.height / was.height)) + velocity;
}

Track* with_id(std::vector<Track>& tracks, std::int64_t id) {
  const auto found = std::find_if(tracks.begin(), tracks.end(),
                                  [id](const Track& track) { return track.id == id; });
  return found == tracks.end() ? nullptr : &*found;
}

}  // namespace

void Crossings::open(const std::vector<Track>& tracks, double now, bool class_aware) {
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    const Track& a = tracks[i];
    if (!is_known(a, now)) continue;
    for (std::size_t j = i + 1; j < tracks.size(); ++j) {
      const Track& b = tracks[j];
      if (a.state == TrackState::kLost && b.state == TrackState::kLost) continue;
      if (class_aware && a.class_id != b.class_id) continue;
      if (shared(a.predicted, b.predicted) < kTogether || !is_known(b, now)) continue;
      const bool is_open = std::any_of(open_.begin(), open_.end(), [&](const Crossing& crossing) {
        return std::minmax(crossing.first, crossing.second) == std::minmax(a.id, b.id);
      });
      if (!is_open) open_.push_back({a.id, b.id, a.whole, b.whole});
    }
  }
}

void Crossings::settle(std::vector<Track>& tracks, double now, double steps, bool class_aware) {
  open(tracks, now, class_aware);
  std::erase_if(open_, [&](const Crossing& crossing) {
    Track* const a = with_id(tracks, crossing.first);
    Track* const b = with_id(tracks, crossing.second);
    if (a == nullptr || b == nullptr) return true;
    if (a->state != TrackState::kTracked || b->state != TrackState::kTracked) return false;
    if (shared(a->predicted, b->predicted) >= kTogether) return false;
    const double kept =
        change(crossing.first_was, *a, steps) + change(crossing.second_was, *b, steps);
    const double exchanged =
        change(crossing.first_was, *b, steps) + change(crossing.second_was, *a, steps);
    if (exchanged + kClearly < kept) {
      std::swap(a->id, b->id);
      std::swap(a->first_seen, b->first_seen);
      std::swap(a->looks, b->looks);
    }
    return true;
  });
}

}  // namespace peregrine::track
