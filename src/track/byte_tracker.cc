// SPDX-License-Identifier: Apache-2.0
#include "track/byte_tracker.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace peregrine::track {
namespace {

// Two tracks whose boxes overlap more than this are one object (the paper's code: IoU distance
// below 0.15).
constexpr float kDuplicateIou = 0.85f;
// A box of less than this share of its largest area is half covered. The largest fades, a second,
// by this exponent: who walks away grows smaller as well.
constexpr float kWhole = 0.9f, kFading = 0.5f;
// A box that ends this near to the border, as a share of the picture, is cut by it.
constexpr float kBorder = 0.01f;
// What the newest embedding weighs in a track's mean.
constexpr float kNewLooks = 0.1f;
// PTS in seconds carry rounding: 30 frames at 30 fps must not exceed 1 s.
constexpr double kTimeSlack = 1e-6;

bool is_trackable(const Box& box) {
  return std::isfinite(box.x1) && std::isfinite(box.y1) && std::isfinite(box.x2) &&
         std::isfinite(box.y2) && box.x2 > box.x1 && box.y2 > box.y1;
}

std::span<const float> embedding_of(const Detections& detections, int index) {
  if (detections.embedding_size == 0) return {};
  return detections.embedding_of(static_cast<std::size_t>(index));
}

Box grown(const Box& box, float margin) {
  const float x = box.width() * margin, y = box.height() * margin;
  return {box.x1 - x, box.y1 - y, box.x2 + x, box.y2 + y};
}

}  // namespace

void ByteTracker::update(Detections& detections, const FrameStamp& frame) {
  const bool first_frame = !started_;
  predict(frame);
  split_by_score(detections);
  split_by_state();

  associate(detections, pool_, high_, {options_.match_iou, options_.fuse_score});
  set_lost_aside();
  associate(detections, pool_, low_, {options_.second_match_iou, false});
  pool_.insert(pool_.end(), lost_.begin(), lost_.end());
  recover(detections, pool_);
  for (const int index : pool_) lose(tracks_[index]);
  associate(detections, unconfirmed_, high_, {options_.unconfirmed_match_iou, options_.fuse_score});
  recover(detections, unconfirmed_);
  for (const int index : unconfirmed_) tracks_[index].state = State::kRemoved;
  start_tracks(detections, first_frame);
  remove_duplicates();
  std::erase_if(tracks_, [](const Track& track) { return track.state == State::kRemoved; });
  if (options_.settle_crossings)
    crossings_.settle(tracks_, now_, options_.frame_rate, options_.class_aware);

  detections.tracks.assign(detections.size(), kNoTrack);
  for (const Track& track : tracks_) {
    if (track.detection != kUnassigned) detections.tracks[track.detection] = track.id;
  }
}

void ByteTracker::reset() {
  tracks_.clear();
  crossings_.clear();
  started_ = false;
}

// Forgets tracks lost for too long and moves the others to the frame's time. A track seen in the
// previous frame is never too old: a stream may be slower than one frame in `lost_seconds`.
void ByteTracker::predict(const FrameStamp& frame) {
  const double elapsed = started_ ? std::max(frame.seconds - now_, 0.0) : 0.0;
  now_ = started_ ? now_ + elapsed : frame.seconds;
  started_ = true;
  width_ = static_cast<float>(frame.width);
  height_ = static_cast<float>(frame.height);
  std::erase_if(tracks_, [&](const Track& track) {
    return track.state == State::kLost &&
           now_ - track.last_seen > options_.lost_seconds + kTimeSlack;
  });
  for (Track& track : tracks_) {
    if (track.state == State::kLost) track.motion.freeze_size();
    track.motion.predict(elapsed * options_.frame_rate);
    track.predicted = track.motion.box();
    track.detection = kUnassigned;
  }
  if (recovers() && knows_picture()) stay_in_picture();
}

// A lost track whose middle has left the picture will not come back; boxes end at the border, as
// detections do.
void ByteTracker::stay_in_picture() {
  std::erase_if(tracks_, [&](const Track& track) {
    const float x = (track.predicted.x1 + track.predicted.x2) / 2;
    const float y = (track.predicted.y1 + track.predicted.y2) / 2;
    return track.state == State::kLost && (x < 0 || y < 0 || x > width_ || y > height_);
  });
  for (Track& track : tracks_) {
    const Box& box = track.predicted;
    const Box inside{std::max(box.x1, 0.0f), std::max(box.y1, 0.0f), std::min(box.x2, width_),
                     std::min(box.y2, height_)};
    if (is_trackable(inside)) track.predicted = inside;
  }
}

void ByteTracker::split_by_score(const Detections& detections) {
  high_.clear();
  low_.clear();
  for (int i = 0; i < static_cast<int>(detections.size()); ++i) {
    if (!is_trackable(detections.boxes[i])) continue;
    if (detections.scores[i] >= options_.high_threshold) {
      high_.push_back(i);
    } else if (detections.scores[i] >= options_.low_threshold) {
      low_.push_back(i);
    }
  }
}

void ByteTracker::split_by_state() {
  pool_.clear();
  unconfirmed_.clear();
  for (int i = 0; i < static_cast<int>(tracks_.size()); ++i) {
    (tracks_[i].state == State::kUnconfirmed ? unconfirmed_ : pool_).push_back(i);
  }
}

// A weak detection near a track that was lost already is more likely something else.
void ByteTracker::set_lost_aside() {
  lost_.clear();
  std::erase_if(pool_, [&](int index) {
    if (tracks_[index].state != State::kLost) return false;
    lost_.push_back(index);
    return true;
  });
}

// Half covered, a box moves with the edge of what covers it, and no more with its object: that is
// no course to go on.
void ByteTracker::lose(Track& track) {
  if (recovers() && track.state != State::kLost) {
    const Box before = track.motion.box();
    track.motion.take_course(track.whole);
    hold_inner_edges(track, before);
  }
  track.state = State::kLost;
}

// Whole again, what was cut by the border reaches beyond it: the edge inside the picture tells
// where it is. So who leaves is soon outside, and does not wait at the border for who comes in.
void ByteTracker::hold_inner_edges(Track& track, const Box& before) const {
  if (!knows_picture()) return;
  const Box& seen = track.seen;
  const Box whole = track.motion.box();
  const float left = kBorder * width_, right = width_ - left;
  const float top = kBorder * height_, bottom = height_ - top;
  double x = 0, y = 0;
  if (seen.x1 <= left && seen.x2 < right) x = before.x2 - whole.x2;
  if (seen.x1 > left && seen.x2 >= right) x = before.x1 - whole.x1;
  if (seen.y1 <= top && seen.y2 < bottom) y = before.y2 - whole.y2;
  if (seen.y1 > top && seen.y2 >= bottom) y = before.y1 - whole.y1;
  track.motion.shift(x, y);
}

// What overlaps with nothing may still be near: a box that is half hidden shrinks and jumps, and
// something small flies further than its own size between two frames.
void ByteTracker::recover(const Detections& detections, std::vector<int>& tracks) {
  if (!recovers()) return;
  associate(detections, tracks, high_,
            {options_.recovery_iou, options_.fuse_score, options_.recovery_margin});
  if (options_.wide_margin > 0) {
    associate(detections, tracks, high_,
              {options_.wide_iou, options_.fuse_score, options_.wide_margin});
  }
}

// Matches `tracks` with `found` and leaves in both what stayed alone, in order.
void ByteTracker::associate(const Detections& detections, std::vector<int>& tracks,
                            std::vector<int>& found, const Stage& stage) {
  if (tracks.empty() || found.empty()) return;
  fill_costs(detections, tracks, found, stage);
  const std::span<const int> columns =
      assignment_.solve(costs_, static_cast<int>(tracks.size()), static_cast<int>(found.size()),
                        1.0f - stage.limit_iou);
  matched_.assign(found.size(), 0);
  std::size_t alone = 0;
  for (std::size_t row = 0; row < columns.size(); ++row) {
    if (columns[row] == kUnassigned) {
      tracks[alone++] = tracks[row];
    } else {
      matched_[columns[row]] = 1;
      match(tracks_[tracks[row]], found[columns[row]], detections);
    }
  }
  tracks.resize(alone);
  alone = 0;
  for (std::size_t column = 0; column < found.size(); ++column) {
    if (!matched_[column]) found[alone++] = found[column];
  }
  found.resize(alone);
}

void ByteTracker::fill_costs(const Detections& detections, const std::vector<int>& tracks,
                             const std::vector<int>& found, const Stage& stage) {
  costs_.resize(tracks.size() * found.size());
  float* cost = costs_.data();
  for (const int row : tracks) {
    const Track& track = tracks_[row];
    const Box place = grown(track.predicted, stage.margin);
    for (const int column : found) {
      float similarity = classes_may_match(track.class_id, detections.classes[column])
                             ? iou(place, grown(detections.boxes[column], stage.margin))
                             : 0.0f;
      if (similarity > 0 && !may_look_alike(track.looks, embedding_of(detections, column)))
        similarity = 0;
      if (stage.fuse_score) similarity *= detections.scores[column];
      *cost++ = 1.0f - similarity;
    }
  }
}

void ByteTracker::remember_whole(Track& track, const Box& box) const {
  const float area = box.width() * box.height();
  const auto passed = static_cast<float>(now_ - track.last_seen);
  track.whole_area = std::max(area, track.whole_area * std::exp(-kFading * passed));
  if (area >= kWhole * track.whole_area) track.whole = track.motion.course();
}

bool ByteTracker::may_look_alike(std::span<const float> a, std::span<const float> b) const {
  if (!wants_embeddings() || a.size() != b.size()) return true;
  float dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  // Without an embedding (all zero) there is nothing to tell by.
  return aa * bb == 0 || dot >= options_.appearance_threshold * std::sqrt(aa * bb);
}

void ByteTracker::remember_looks(Track& track, const Detections& detections, int detection) const {
  if (!wants_embeddings()) return;
  const std::span<const float> seen = embedding_of(detections, detection);
  if (std::all_of(seen.begin(), seen.end(), [](float v) { return v == 0; })) return;
  if (track.looks.size() != seen.size()) {
    track.looks.assign(seen.begin(), seen.end());
    return;
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    track.looks[i] += kNewLooks * (seen[i] - track.looks[i]);
  }
}

void ByteTracker::match(Track& track, int detection, const Detections& detections) {
  track.motion.update(detections.boxes[detection]);
  remember_whole(track, detections.boxes[detection]);
  remember_looks(track, detections, detection);
  track.state = State::kTracked;
  track.class_id = detections.classes[detection];
  track.detection = detection;
  track.seen = detections.boxes[detection];
  track.last_seen = now_;
  if (track.id == kNoTrack) track.id = next_id_++;
}

// Whether a detection shows what another shows that has a track already.
bool ByteTracker::is_duplicate(const Detections& detections, int detection) const {
  return std::any_of(tracks_.begin(), tracks_.end(), [&](const Track& track) {
    return track.detection != kUnassigned &&
           classes_may_match(track.class_id, detections.classes[detection]) &&
           iou(track.seen, detections.boxes[detection]) > options_.duplicate_iou;
  });
}

// In the first frame of a stream there is nothing to confirm a track against, and waiting would
// leave every object of a one-frame stream without an id.
void ByteTracker::start_tracks(const Detections& detections, bool first_frame) {
  for (const int index : high_) {
    const float score = detections.scores[index];
    if (score < options_.new_track_threshold) continue;
    if (is_duplicate(detections, index)) continue;
    const bool confirmed = first_frame || score > options_.confirm_threshold;
    const Box& box = detections.boxes[index];
    const KalmanFilter motion(box, options_.size_state ? BoxState::kSize : BoxState::kAspect);
    tracks_.push_back({.motion = motion,
                       .predicted = box,
                       .seen = box,
                       .state = confirmed ? State::kTracked : State::kUnconfirmed,
                       .class_id = detections.classes[index],
                       .id = confirmed ? next_id_++ : kNoTrack,
                       .detection = index,
                       .first_seen = now_,
                       .last_seen = now_,
                       .whole = motion.course(),
                       .whole_area = box.width() * box.height(),
                       .looks = {}});
    remember_looks(tracks_.back(), detections, index);
  }
}

// A lost track and a seen one in the same place are one object, met twice. The one with the longer
// history stays.
void ByteTracker::remove_duplicates() {
  for (Track& track : tracks_) {
    if (track.state != State::kLost) track.predicted = track.motion.box();
  }
  for (Track& lost : tracks_) {
    if (lost.state != State::kLost) continue;
    for (Track& seen : tracks_) {
      if (seen.state != State::kTracked && seen.state != State::kUnconfirmed) continue;
      if (!classes_may_match(seen.class_id, lost.class_id)) continue;
      if (!may_look_alike(seen.looks, lost.looks)) continue;
      if (!(iou(seen.predicted, lost.predicted) > kDuplicateIou)) continue;
      const bool seen_is_older =
          seen.last_seen - seen.first_seen > lost.last_seen - lost.first_seen;
      (seen_is_older ? lost : seen).state = State::kRemoved;
      if (seen_is_older) break;
    }
  }
}

}  // namespace peregrine::track
