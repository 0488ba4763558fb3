// SPDX-License-Identifier: Apache-2.0
#include "peregrine/detections.h"

#include <gtest/gtest.h>

namespace peregrine {
namespace {

TEST(Detections, IouOfKnownBoxes) {
  EXPECT_FLOAT_EQ(iou({0, 0, 2, 2}, {1, 1, 3, 3}), 1.0f / 7.0f);
  EXPECT_FLOAT_EQ(iou({0, 0, 2, 2}, {2, 0, 4, 2}), 0.0f);
  EXPECT_FLOAT_EQ(iou({0, 0, 2, 2}, {0, 0, 2, 2}), 1.0f);
  EXPECT_FLOAT_EQ(iou({1, 1, 1, 1}, {1, 1, 1, 1}), 0.0f);
}

TEST(Detections, SelectKeepsEveryArrayInStep) {
  Detections all;
  all.boxes = {{0, 0, 1, 1}, {1, 1, 2, 2}, {2, 2, 3, 3}};
  all.scores = {0.9f, 0.8f, 0.7f};
  all.classes = {0, 1, 2};
  all.keypoints = {{0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}, {2, 0, 1}, {2, 1, 1}};
  all.keypoints_per_object = 2;
  const int order[] = {2, 0};
  const Detections some = all.select(order);
  EXPECT_EQ(some.classes, (std::vector<int>{2, 0}));
  EXPECT_EQ(some.keypoints_of(0)[1].x, 2);
  EXPECT_EQ(some.keypoints_of(1)[0].x, 0);
  EXPECT_TRUE(some.masks.empty());
}

}  // namespace
}  // namespace peregrine
