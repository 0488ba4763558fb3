// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "peregrine/error.h"
#include "track/tracker.h"

namespace peregrine::track {
namespace {

struct Object {
  float x, y;  // centre of a box of 40 x 80
  float score = 0.9f;
  int class_id = 0;
};

Detections detections_of(const std::vector<Object>& objects) {
  Detections detections;
  for (const Object& object : objects) {
    detections.boxes.push_back({object.x - 20, object.y - 40, object.x + 20, object.y + 40});
    detections.scores.push_back(object.score);
    detections.classes.push_back(object.class_id);
  }
  return detections;
}

using Ids = std::vector<std::int64_t>;

// A tracker and a clock of 30 frames a second.
class Scene {
 public:
  explicit Scene(const ByteTrackOptions& options = {}) : tracker_(make_byte_tracker(options)) {}
  Ids at(double seconds, const std::vector<Object>& objects) {
    Detections detections = detections_of(objects);
    const std::vector<Box> boxes = detections.boxes;
    tracker_->update(detections, {seconds});
    EXPECT_EQ(detections.boxes, boxes) << "boxes stay as detected";
    return detections.tracks;
  }
  Ids next(const std::vector<Object>& objects) { return at(frame_++ / 30.0, objects); }
  void skip(int frames) { frame_ += frames; }
  Tracker& tracker() { return *tracker_; }

 private:
  std::unique_ptr<Tracker> tracker_;
  int frame_ = 0;
};

TEST(ByteTracker, FirstFrameCountsAtOnceLaterObjectsAfterTheSecondSight) {
  Scene scene;
  EXPECT_EQ(scene.next({{100, 100}}), Ids{1});
  EXPECT_EQ(scene.next({{100, 100}, {300, 100}}), (Ids{1, kNoTrack}));
  EXPECT_EQ(scene.next({{100, 100}, {300, 100}}), (Ids{1, 2}));
}

TEST(ByteTracker, AFlickerGetsNoId) {
  Scene scene;
  scene.next({{100, 100}});
  EXPECT_EQ(scene.next({{100, 100}, {300, 100}}), (Ids{1, kNoTrack}));
  scene.next({{100, 100}});
  EXPECT_EQ(scene.next({{100, 100}, {300, 100}}), (Ids{1, kNoTrack}));
  EXPECT_EQ(scene.next({{100, 100}, {300, 100}}), (Ids{1, 2})) << "ids have no gaps";
}

TEST(ByteTracker, EmptyFrames) {
  Scene scene;
  EXPECT_TRUE(scene.next({}).empty());
  EXPECT_EQ(scene.next({{100, 100}}), Ids{kNoTrack}) << "only the stream's first frame confirms";
  EXPECT_EQ(scene.next({{100, 100}}), Ids{1});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(scene.next({}).empty());
  EXPECT_EQ(scene.next({{100, 100}}), Ids{1});
}

TEST(ByteTracker, CrossingObjectsKeepTheirIds) {
  Scene scene;
  for (int i = 0; i < 81; ++i) {
    const float step = 5.0f * i;
    // Rows 12 px apart: in the middle their boxes overlap by IoU 0.74.
    const Ids ids = scene.next({{100 + step, 100}, {500 - step, 112}});
    EXPECT_EQ(ids, (Ids{1, 2})) << "frame " << i;
  }
}

TEST(ByteTracker, AnObjectIsFoundAgainBehindAnOcclusion) {
  Scene scene;
  for (int i = 0; i < 20; ++i) scene.next({{100 + 4.0f * i, 100}});
  for (int i = 20; i < 45; ++i) EXPECT_TRUE(scene.next({}).empty());
  EXPECT_EQ(scene.next({{100 + 4.0f * 45, 100}}), Ids{1}) << "prediction went on meanwhile";
}

TEST(ByteTracker, LostForLongerThanTheBufferIsANewObject) {
  // Last seen in frame 9. At 30 fps a buffer of 1 s reaches to frame 39, whatever comes between.
  for (const auto& [missing, id] : {std::pair{29, std::int64_t{1}}, {30, kNoTrack}}) {
    Scene scene;
    for (int i = 0; i < 10; ++i) scene.next({{100, 100}});
    for (int i = 0; i < missing; ++i) scene.next({});
    EXPECT_EQ(scene.next({{100, 100}}), Ids{id}) << missing << " frames";
  }
}

TEST(ByteTracker, WhatFliesPastItsOwnSizeIsRecovered) {
  // Ten frames a second, 41 px each, 40 px wide: boxes of two frames never touch.
  for (const auto& [margin, second] : {std::pair{0.2f, std::int64_t{1}}, {0.0f, kNoTrack}}) {
    ByteTrackOptions options;
    options.recovery_margin = margin;
    Scene scene(options);
    EXPECT_EQ(scene.at(0.0, {{100, 100}}), Ids{1});
    EXPECT_EQ(scene.at(0.1, {{141, 100}}), Ids{second}) << margin;
    EXPECT_EQ(scene.at(0.2, {{182, 100}}), Ids{second}) << margin;
  }
}

TEST(ByteTracker, WhoWalksBehindSomethingComesOutOnTheOtherSide) {
  // A walker of 40 px, 4 px a frame, passes behind a pillar from x = 200 to 250: only what stands
  // out of it on either side is detected, so the box's middle slows down, then hurries.
  for (const auto& [margin, same] : {std::pair{0.2f, true}, {0.0f, false}}) {
    ByteTrackOptions options;
    options.recovery_margin = margin;
    const auto tracker = make_byte_tracker(options);
    std::int64_t last = kNoTrack;
    for (int i = 0; i < 80; ++i) {
      const float left = 40 + 4.0f * static_cast<float>(i), right = left + 40;
      const Box before{left, 100, std::min(right, 200.0f), 200};
      const Box after{std::max(left, 250.0f), 100, right, 200};
      const Box& box = before.width() >= 12 ? before : after;
      Detections detections;
      if (box.width() >= 12) {
        detections.boxes = {box};
        detections.scores = {0.9f};
        detections.classes = {0};
      }
      tracker->update(detections, {i / 30.0});
      if (!detections.tracks.empty()) last = detections.tracks[0];
    }
    EXPECT_EQ(last == 1, same) << "margin " << margin << ", id " << last;
  }
}

TEST(ByteTracker, RecoveryLeavesOverlappingPairsAlone) {
  Scene scene;
  for (int i = 0; i < 5; ++i) scene.next({{100, 100}});
  // The newcomer stands nearer to where the first will be than the first's own box allows for.
  EXPECT_EQ(scene.next({{100, 100}, {145, 100}}), (Ids{1, kNoTrack}));
  EXPECT_EQ(scene.next({{100, 100}, {145, 100}}), (Ids{1, 2}));
  EXPECT_EQ(scene.next({{145, 100}}), Ids{2}) << "its own track overlaps with it";
}

// The id of a box in each frame, 0 where it has none; `count` frames of 30 a second, of a picture
// of 1280 x 720 or of an unknown size.
template <typename Boxes>
std::vector<Ids> ids_in(const ByteTrackOptions& options, int count, Boxes boxes_at,
                        bool size_known = true) {
  const auto tracker = make_byte_tracker(options);
  std::vector<Ids> ids;
  for (int i = 0; i < count; ++i) {
    Detections detections;
    detections.boxes = boxes_at(i);
    detections.scores.assign(detections.size(), 0.9f);
    detections.classes.assign(detections.size(), 0);
    FrameStamp frame{i / 30.0};
    if (size_known) frame.width = 1280, frame.height = 720;
    tracker->update(detections, frame);
    ids.push_back(detections.tracks);
  }
  return ids;
}

TEST(ByteTracker, WhoLeavesThePictureDoesNotComeBackAsSomebodyElse) {
  // One leaves at 8 px a frame; four frames later another comes in at the same place. Without
  // the picture's size nothing tells that the first is gone.
  const auto boxes_at = [](int i) -> std::vector<Box> {
    const float left = 1000 + 8.0f * static_cast<float>(i);
    if (left < 1270) return {{left, 300, std::min(left + 80, 1280.0f), 500}};
    const float back = 1270 - 8.0f * static_cast<float>(i - 37);
    if (back < 1270) return {{back, 300, std::min(back + 80, 1280.0f), 500}};
    return {};
  };
  for (const bool size_known : {true, false}) {
    const std::vector<Ids> ids = ids_in({}, 70, boxes_at, size_known);
    EXPECT_EQ(ids[30], Ids{1});
    EXPECT_EQ(ids[69], Ids{size_known ? 2 : 1});
  }
}

TEST(ByteTracker, WhatStandsCutByTheBorderIsFoundAgain) {
  // A parked car of which less than half is in the picture, hidden for 20 frames.
  const std::vector<Ids> ids = ids_in({}, 50, [](int i) -> std::vector<Box> {
    if (i >= 20 && i < 40) return {};
    return {{1200, 300, 1280, 400}};
  });
  EXPECT_EQ(ids[45], Ids{1});
}

TEST(ByteTracker, WhatFliesFarIsRecoveredWithinAWideMargin) {
  // 90 px a frame, 40 px wide: past what the first margin reaches.
  for (const auto& [margin, second] : {std::pair{2.0f, std::int64_t{1}}, {0.0f, kNoTrack}}) {
    ByteTrackOptions options;
    options.wide_margin = margin;
    Scene scene(options);
    EXPECT_EQ(scene.at(0.0, {{100, 100}}), Ids{1});
    EXPECT_EQ(scene.at(0.1, {{190, 100}}), Ids{second}) << margin;
  }
}

TEST(ByteTracker, WhoCrossedKeepsTheirIds) {
  // A child walks past somebody who stands. While they hide each other the two boxes that are seen
  // stand still and look alike, the child's on the left; it comes out on the right, where the
  // other's is nearer.
  const auto boxes_at = [](int i) -> std::vector<Box> {
    const float x = 6.0f * static_cast<float>(i);
    const Box child{200 + x, 240, 250 + x, 400}, adult{400, 200, 450, 400};
    if (i < 30 || i >= 40) return {child, adult};
    return {{394, 200, 444, 400}, {406, 200, 456, 400}};
  };
  for (const bool settle : {true, false}) {
    ByteTrackOptions options;
    options.settle_crossings = settle;
    const std::vector<Ids> ids = ids_in(options, 70, boxes_at);
    EXPECT_EQ(ids[25], (Ids{1, 2}));
    EXPECT_EQ(ids[69], settle ? (Ids{1, 2}) : (Ids{2, 1})) << settle;
  }
}

TEST(ByteTracker, WhoMetAndTurnedBackKeepsTheirIds) {
  // Settling must not exchange those whom overlap has followed rightly.
  const std::vector<Ids> ids = ids_in({}, 90, [](int i) -> std::vector<Box> {
    const float x = 4.0f * static_cast<float>(i < 40 ? i : 80 - i);
    return {{200 + x, 200, 250 + x, 400}, {540 - x, 240, 590 - x, 400}};
  });
  EXPECT_EQ(ids[30], (Ids{1, 2}));
  EXPECT_EQ(ids[85], (Ids{1, 2}));
}

TEST(ByteTracker, AnObjectSeenTwiceInOneFrameStartsOneTrack) {
  for (const auto& [most, twin] : {std::pair{0.5f, kNoTrack}, {1.0f, std::int64_t{2}}}) {
    ByteTrackOptions options;
    options.duplicate_iou = most;
    Scene scene(options);
    for (int i = 0; i < 5; ++i) scene.next({{100, 100}});
    for (int i = 0; i < 3; ++i) scene.next({{100, 100}, {108, 100, 0.5f}});
    EXPECT_EQ(scene.next({{100, 100}, {108, 100, 0.5f}}), (Ids{1, twin})) << most;
  }
}

TEST(ByteTracker, ASureDetectionIsConfirmedAtOnce) {
  ByteTrackOptions options;
  options.confirm_threshold = 0.8f;
  Scene scene(options);
  scene.next({{100, 100}});
  EXPECT_EQ(scene.next({{100, 100}, {300, 100, 0.9f}, {500, 100, 0.7f}}), (Ids{1, 2, kNoTrack}));
}

// One embedding of two numbers for each object of a frame.
Ids seen_with(Tracker& tracker, double seconds, const std::vector<Object>& objects,
              std::vector<float> embeddings) {
  Detections detections = detections_of(objects);
  detections.embeddings = std::move(embeddings);
  detections.embedding_size = 2;
  tracker.update(detections, {seconds});
  return detections.tracks;
}

TEST(ByteTracker, WhatLooksDifferentDoesNotInheritAnId) {
  for (const auto& [threshold, id] : {std::pair{0.7f, kNoTrack}, {0.0f, std::int64_t{1}}}) {
    ByteTrackOptions options;
    options.appearance_threshold = threshold;
    const auto tracker = make_byte_tracker(options);
    EXPECT_EQ(tracker->wants_embeddings(), threshold > 0);
    for (int i = 0; i < 5; ++i) seen_with(*tracker, i / 30.0, {{100, 100}}, {1, 0});
    EXPECT_EQ(seen_with(*tracker, 5 / 30.0, {{100, 100}}, {0, 0}), Ids{1}) << "no embedding";
    // Another steps into the very place of the first.
    EXPECT_EQ(seen_with(*tracker, 6 / 30.0, {{100, 100}}, {0, 1}), Ids{id}) << threshold;
    EXPECT_EQ(seen_with(*tracker, 7 / 30.0, {{100, 100}}, {0, 1}), Ids{threshold > 0 ? 2 : 1});
  }
}

TEST(ByteTracker, TheBufferIsTimeNotFrames) {
  Scene scene;
  for (int i = 0; i < 10; ++i) scene.at(i * 0.1, {{100, 100}});
  scene.at(1.0, {});
  EXPECT_EQ(scene.at(1.8, {{100, 100}}), Ids{1}) << "0.9 s after it was last seen";
  scene.at(1.9, {});
  scene.at(2.85, {});
  EXPECT_EQ(scene.at(2.95, {{100, 100}}), Ids{kNoTrack}) << "1.15 s";
}

TEST(ByteTracker, LowScoresKeepAnIdButDoNotStartOne) {
  Scene scene;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(scene.next({{100, 100}}), Ids{1});
  for (int i = 0; i < 40; ++i) {
    // Longer than the lost buffer: these sightings count.
    EXPECT_EQ(scene.next({{100, 100, 0.15f}, {300, 100, 0.15f}}), (Ids{1, kNoTrack}));
  }
  EXPECT_EQ(scene.next({{100, 100}}), Ids{1});
  EXPECT_EQ(scene.next({{100, 100, 0.05f}}), Ids{kNoTrack}) << "below the low threshold";
}

TEST(ByteTracker, TheSecondStageDoesNotReviveLostTracks) {
  Scene scene;
  for (int i = 0; i < 5; ++i) scene.next({{100, 100}});
  scene.next({});
  EXPECT_EQ(scene.next({{100, 100, 0.2f}}), Ids{kNoTrack});
  EXPECT_EQ(scene.next({{100, 100, 0.9f}}), Ids{1});
}

TEST(ByteTracker, DroppedFramesAreNoSpecialCase) {
  // Over 8 dropped frames the object moves past its own width: only prediction finds it.
  Scene scene;
  for (int i = 0; i < 12; ++i) EXPECT_EQ(scene.next({{100 + 8.0f * i, 100}}), Ids{1});
  scene.skip(8);
  EXPECT_EQ(scene.next({{100 + 8.0f * 20, 100}}), Ids{1}) << "72 px further, 40 px wide";
}

TEST(ByteTracker, VariableFrameRate) {
  std::mt19937 random(5);
  Scene scene;
  double seconds = -3;  // a PTS may be negative
  for (int i = 0; i < 300; ++i) {
    const auto x = static_cast<float>(1000 + 120 * seconds);
    const auto y = static_cast<float>(1000 - 60 * seconds);
    EXPECT_EQ(scene.at(seconds, {{x, 100}, {500, y}}), (Ids{1, 2})) << "second " << seconds;
    seconds += 0.005 + 0.0001 * static_cast<double>(random() % 1500);
  }
}

TEST(ByteTracker, AStreamSlowerThanTheBuffer) {
  Scene scene;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(scene.at(i * 2.0, {{100, 100}}), Ids{1});
}

TEST(ByteTracker, TimeThatStandsStillOrGoesBackIsTakenAsStill) {
  Scene scene;
  scene.at(1, {{100, 100}});
  EXPECT_EQ(scene.at(1, {{102, 100}}), Ids{1});
  EXPECT_EQ(scene.at(0.5, {{104, 100}}), Ids{1});
  EXPECT_EQ(scene.at(1.03, {{106, 100}}), Ids{1});
}

TEST(ByteTracker, ClassesStayApartUnlessTold) {
  for (const bool aware : {true, false}) {
    ByteTrackOptions options;
    options.class_aware = aware;
    Scene scene(options);
    scene.next({{100, 100, 0.9f, 0}, {300, 100, 0.9f, 1}});
    EXPECT_EQ(scene.next({{100, 100, 0.9f, 0}, {300, 100, 0.9f, 1}}), (Ids{1, 2}));
    const Ids swapped = scene.next({{100, 100, 0.9f, 1}, {300, 100, 0.9f, 0}});
    EXPECT_EQ(swapped, aware ? (Ids{kNoTrack, kNoTrack}) : (Ids{1, 2}));
  }
}

TEST(ByteTracker, TwoClassesInOnePlaceAreTwoObjects) {
  Scene scene;
  for (int i = 0; i < 30; ++i) {
    const float x = 100 + 3.0f * i;
    // The rider and the bicycle swap their places in the list.
    const Ids ids = i % 2 ? scene.next({{x, 100, 0.8f, 0}, {x + 4, 104, 0.7f, 1}})
                          : scene.next({{x + 4, 104, 0.8f, 1}, {x, 100, 0.7f, 0}});
    EXPECT_EQ(ids, i % 2 ? (Ids{2, 1}) : (Ids{1, 2})) << i;
  }
}

// A detector that reports one object twice gives two tracks; when one of them is lost on the same
// spot, the elder stays.
TEST(ByteTracker, ALostTwinIsForgotten) {
  ByteTrackOptions options;
  options.duplicate_iou = 1;
  Scene scene(options);
  for (int i = 0; i < 5; ++i) scene.next({{100, 100}});
  for (int i = 0; i < 5; ++i) scene.next({{100, 100}, {101, 100, 0.5f}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(scene.next({{100, 100}}), Ids{1});
  // Were track 2 still lost here, it would take the second box at once.
  EXPECT_EQ(scene.next({{100, 100}, {101, 100, 0.5f}}), (Ids{1, kNoTrack}));
}

TEST(ByteTracker, ResetForgetsTracksButNotIds) {
  Scene scene;
  scene.next({{100, 100}, {300, 100}});
  scene.tracker().reset();
  EXPECT_EQ(scene.at(0, {{100, 100}}), Ids{3}) << "a new first frame, earlier than the last one";
}

TEST(ByteTracker, BoxesThatAreNoneAreIgnored) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Detections detections = detections_of({{100, 100}, {200, 100}, {300, 100}, {400, 100}});
  detections.boxes[1].x2 = detections.boxes[1].x1;
  detections.boxes[2].y1 = nan;
  detections.scores[3] = nan;
  const auto tracker = make_byte_tracker({});
  for (int i = 0; i < 3; ++i) {
    tracker->update(detections, {i / 30.0});
    EXPECT_EQ(detections.tracks, (Ids{1, kNoTrack, kNoTrack, kNoTrack}));
  }
}

// Objects on circles, with noise, misses and weak sightings: each keeps its id for 10,000 frames.
Ids ids_of_long_run(int frames) {
  std::mt19937 random(11);
  std::uniform_real_distribution<float> uniform(0, 1);
  Scene scene;
  Ids all;
  for (int frame = 0; frame < frames; ++frame) {
    std::vector<Object> objects;
    std::vector<int> who;
    for (int k = 0; k < 8; ++k) {
      if (frame > 0 && uniform(random) < 0.05f) continue;
      const float angle = 0.02f * static_cast<float>(frame) * (k % 2 ? 1.0f : -1.0f);
      const float score = frame > 0 && uniform(random) < 0.1f ? 0.15f : 0.8f;
      objects.push_back({200.0f + 300 * (k % 4) + 80 * std::cos(angle) + 2 * uniform(random),
                         200.0f + 300 * (k / 4) + 80 * std::sin(angle) + 2 * uniform(random),
                         score});
      who.push_back(k);
    }
    const Ids ids = scene.next(objects);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      EXPECT_TRUE(ids[i] == kNoTrack || ids[i] == who[i] + 1) << ids[i] << " frame " << frame;
    }
    all.insert(all.end(), ids.begin(), ids.end());
    if (::testing::Test::HasFailure()) break;
  }
  return all;
}

TEST(ByteTracker, IdsAreStableFor10000FramesAndTheSameEachTime) {
  const Ids first = ids_of_long_run(10000);
  EXPECT_EQ(first, ids_of_long_run(10000));
  EXPECT_EQ(std::set<std::int64_t>(first.begin(), first.end()).size(), 9u) << "8 ids and none";
}

TEST(ByteTracker, OptionsOutOfRangeAreRefused) {
  const auto message_of = [](auto change) -> std::string {
    ByteTrackOptions options;
    change(options);
    try {
      make_byte_tracker(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidConfig);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message_of([](auto& o) { o.match_iou = 1.5f; }),
            "tracker: match_iou is 1.5; it must lie in [0, 1]");
  EXPECT_EQ(message_of([](auto& o) { o.recovery_margin = -0.5f; }),
            "tracker: recovery_margin is -0.5; it must lie in [0, 1]");
  EXPECT_EQ(message_of([](auto& o) { o.wide_margin = 11; }),
            "tracker: wide_margin is 11; it must lie in [0, 10]");
  EXPECT_EQ(message_of([](auto& o) { o.lost_seconds = 0; }),
            "tracker: lost_seconds is 0; it must be a positive number");
  EXPECT_EQ(message_of([](auto& o) { o.low_threshold = 0.5f; }),
            "tracker: low_threshold 0.5 exceeds high_threshold 0.25; the second association takes "
            "detections between the two");
}

TEST(TrackingConfidence, AUsersThresholdStartsTracksAndWeakBoxesOnlyContinueThem) {
  const ByteTrackOptions options = options_for_confidence({}, 0.5f);
  EXPECT_FLOAT_EQ(options.high_threshold, 0.5f);
  EXPECT_FLOAT_EQ(options.new_track_threshold, 0.5f);
  EXPECT_FLOAT_EQ(options_for_confidence({}, 0.05f).high_threshold, 0.25f);
  EXPECT_FLOAT_EQ(detector_confidence(options, 0.5f), 0.1f);
  EXPECT_FLOAT_EQ(detector_confidence(options, 0.05f), 0.05f);

  const auto tracker = make_byte_tracker(options);
  Detections detections = detections_of({{100, 100}});
  tracker->update(detections, {0});
  detections = detections_of({{300, 100, 0.6f}, {500, 100, 0.4f}, {100, 100, 0.3f}});
  tracker->update(detections, {1 / 30.0});
  drop_weak_untracked(detections, 0.5f);
  EXPECT_EQ(detections.tracks, (Ids{kNoTrack, 1}));
  EXPECT_EQ(detections.scores, (std::vector<float>{0.6f, 0.3f}));
}

TEST(TrackingConfidence, WithoutATrackerOnlyTheScoreCounts) {
  Detections detections = detections_of({{100, 100}, {300, 100, 0.3f}});
  drop_weak_untracked(detections, 0.5f);
  EXPECT_EQ(detections.size(), 1u);
}

}  // namespace
}  // namespace peregrine::track
