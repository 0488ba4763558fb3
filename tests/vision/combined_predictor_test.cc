// SPDX-License-Identifier: Apache-2.0
#include "vision/combined_predictor.h"

#include <gtest/gtest.h>

#include "peregrine/error.h"

namespace peregrine::vision {
namespace {

FrameResult answer(std::vector<Box> boxes, std::vector<float> scores, std::vector<int> classes) {
  FrameResult result;
  result.detections.boxes = std::move(boxes);
  result.detections.scores = std::move(scores);
  result.detections.classes = std::move(classes);
  return result;
}

Mask mask_of(std::uint32_t ones) { return {4, 4, {16 - ones, ones}}; }

const Box kLeft{0, 0, 10, 20}, kNearLeft{1, 0, 10, 20}, kRight{30, 0, 40, 20}, kFar{80, 0, 90, 9};

TEST(MergeLabels, KnownNamesKeepTheirPlace) {
  std::vector<std::string> labels{"person", "car"};
  EXPECT_EQ(merge_labels(labels, {"car", "ball", "person"}), (std::vector{1, 2, 0}));
  EXPECT_EQ(labels, (std::vector<std::string>{"person", "car", "ball"}));
}

TEST(MergeAnswers, OneObjectHasWhatEachModelSays) {
  FrameResult merged = answer({kLeft, kRight}, {0.9F, 0.8F}, {0, 5});
  FrameResult pose = answer({kNearLeft}, {0.7F}, {0});
  pose.detections.keypoints_per_object = 2;
  pose.detections.keypoints = {{1, 2, 0.5F}, {3, 4, 0.6F}};
  FrameResult masks = answer({kRight, kNearLeft}, {0.6F, 0.5F}, {2, 0});
  masks.detections.masks = {mask_of(3), mask_of(5)};

  merge_answers(merged, pose, std::vector{0});
  merge_answers(merged, masks, std::vector{0, 1, 5});  // its third class is our sixth
  const Detections& found = merged.detections;
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found.boxes[0], kLeft) << "the first model's box stays";
  EXPECT_TRUE(found.has_keypoints(0));
  EXPECT_FLOAT_EQ(found.keypoints_of(0)[1].y, 4);
  EXPECT_FALSE(found.has_keypoints(1));
  EXPECT_EQ(found.masks[0].counts.back(), 5U);
  EXPECT_EQ(found.masks[1].counts.back(), 3U);
}

TEST(MergeAnswers, WhatNobodyElseFoundIsAddedByScore) {
  FrameResult merged = answer({kLeft}, {0.5F}, {0});
  merged.detections.masks = {mask_of(1)};
  const FrameResult more = answer({kNearLeft, kFar}, {0.9F, 0.4F}, {1, 0});
  merge_answers(merged, more, std::vector{0, 1});
  const Detections& found = merged.detections;
  EXPECT_EQ(found.boxes, (std::vector{kNearLeft, kLeft, kFar}))
      << "another class is another object";
  EXPECT_EQ(found.scores, (std::vector{0.9F, 0.5F, 0.4F}));
  EXPECT_EQ(found.classes, (std::vector{1, 0, 0}));
  EXPECT_FALSE(found.has_mask(0));
  EXPECT_TRUE(found.has_mask(1));
  EXPECT_FALSE(found.has_mask(2));
}

TEST(MergeAnswers, EachObjectHasOnePartner) {
  FrameResult merged = answer({kLeft}, {0.9F}, {0});
  FrameResult more = answer({{3, 0, 10, 20}, kNearLeft}, {0.8F, 0.7F}, {0, 0});
  more.detections.masks = {mask_of(1), mask_of(2)};
  merge_answers(merged, more, std::vector{0});
  ASSERT_EQ(merged.detections.size(), 2U);
  EXPECT_EQ(merged.detections.masks[0].counts.back(), 2U) << "the closer one";
  EXPECT_EQ(merged.detections.masks[1].counts.back(), 1U);
}

TEST(MergeAnswers, WhatIsThereStays) {
  FrameResult merged = answer({kLeft}, {0.9F}, {0});
  merged.detections.keypoints_per_object = 1;
  merged.detections.keypoints = {{1, 1, 0.9F}};
  merged.detections.masks = {mask_of(7)};
  FrameResult more = answer({kLeft, kFar}, {0.8F, 0.7F}, {0, 0});
  more.detections.keypoints_per_object = 1;
  more.detections.keypoints = {{2, 2, 0.9F}, {3, 3, 0.9F}};
  more.detections.masks = {mask_of(1), mask_of(2)};
  more.classes = {{0, 0.5F}};
  merge_answers(merged, more, std::vector{4});
  EXPECT_EQ(merged.classes.front().class_id, 4);
  EXPECT_EQ(merged.detections.size(), 3U) << "class 0 of the other is our fifth";
  merge_answers(merged, more, std::vector{0});
  EXPECT_EQ(merged.detections.size(), 4U);
  for (std::size_t i = 0; i < merged.detections.size(); ++i) {
    if (merged.detections.scores[i] < 0.9F) continue;
    EXPECT_FLOAT_EQ(merged.detections.keypoints_of(i)[0].x, 1);
    EXPECT_EQ(merged.detections.masks[i].counts.back(), 7U);
  }
}

TEST(MergeAnswers, AnUprightBoxIsOrientedToo) {
  FrameResult merged = answer({kLeft}, {0.5F}, {0});
  FrameResult more = answer({kRight}, {0.9F}, {1});
  more.detections.oriented = {{35, 10, 20, 10, 1.5F}};
  merge_answers(merged, more, std::vector{0, 1});
  ASSERT_EQ(merged.detections.oriented.size(), 2U);
  EXPECT_FLOAT_EQ(merged.detections.oriented[0].angle, 1.5F);
  EXPECT_FLOAT_EQ(merged.detections.oriented[1].height, 20);
}

/// Answers with one object of class 0; may refuse.
class Fake final : public Predictor {
 public:
  Fake(Box box, int most) : box_(box), most_(most) {}
  int max_batch() const override { return most_; }
  void submit(std::span<const Frame> frames) override {
    if (refuses) throw Error(ErrorCode::kEngine, "no");
    check_batch(frames, most_, in_flight > 0);
    in_flight = static_cast<int>(frames.size());
  }
  PredictTimes collect(std::span<FrameResult> results) override {
    EXPECT_EQ(std::ssize(results), in_flight);
    in_flight = 0;
    if (fails) throw Error(ErrorCode::kEngine, "failed");
    for (FrameResult& result : results) result = answer({box_}, {0.5F}, {0});
    return {1, 10, 2};
  }
  bool refuses = false, fails = false;
  int in_flight = 0;

 private:
  const Box box_;
  const int most_;
};

struct Rig {
  Fake* first = new Fake(kLeft, 4);
  Fake* second = new Fake(kFar, 3);
  std::unique_ptr<Predictor> combined;
  Rig() {
    std::vector<Companion> others;
    others.push_back({std::unique_ptr<Predictor>(second), {0}});
    combined = make_combined_predictor(std::unique_ptr<Predictor>(first), std::move(others));
  }
};

TEST(CombinedPredictor, AsksAllAndMergesFrameByFrame) {
  const Rig rig;
  EXPECT_EQ(rig.combined->max_batch(), 3);
  const std::vector<Frame> frames(2);
  std::vector<FrameResult> results(2);
  for (int round = 0; round < 2; ++round) {
    rig.combined->submit(frames);
    EXPECT_THROW(rig.combined->submit(frames), Error) << "one batch in flight";
    const PredictTimes times = rig.combined->collect(results);
    EXPECT_EQ(times.preprocess, 2);
    EXPECT_EQ(times.infer, 10) << "side by side";
    for (const FrameResult& result : results) EXPECT_EQ(result.detections.size(), 2U);
  }
}

TEST(CombinedPredictor, IsReadyAgainWhenOneFails) {
  const Rig rig;
  const std::vector<Frame> frames(1);
  std::vector<FrameResult> results(1);
  rig.second->refuses = true;
  EXPECT_THROW(rig.combined->submit(frames), Error);
  EXPECT_EQ(rig.first->in_flight, 0) << "what the first had begun is given up";
  rig.second->refuses = false;
  rig.first->fails = true;
  rig.combined->submit(frames);
  EXPECT_THROW(rig.combined->collect(results), Error);
  EXPECT_EQ(rig.second->in_flight, 0) << "the second was collected, too";
  rig.first->fails = false;
  rig.combined->submit(frames);
  rig.combined->collect(results);
  EXPECT_EQ(results[0].detections.size(), 2U);
}

}  // namespace
}  // namespace peregrine::vision
