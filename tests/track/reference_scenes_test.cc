// SPDX-License-Identifier: Apache-2.0
// The tracker against tools/reference/bytetrack_reference.py, written independently from the paper.
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "track/tracker.h"

namespace peregrine::track {
namespace {

TEST(ByteTracker, GivesTheReferencesIdsInEveryFrame) {
  std::ifstream file(PEREGRINE_SOURCE_DIR "/tests/track/data/scenes.txt");
  ASSERT_TRUE(file);
  std::unique_ptr<Tracker> tracker;
  std::map<std::string, int> frames;
  std::string line, word, scene;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream head(line);
    head >> word;
    if (word == "scene") {
      ByteTrackOptions options;
      // The reference is ByteTrack alone.
      options.recovery_margin = 0;
      options.size_state = false;
      options.settle_crossings = false;
      options.duplicate_iou = 1;
      head >> scene >> options.class_aware >> options.high_threshold >> options.new_track_threshold;
      tracker = make_byte_tracker(options);
      continue;
    }
    ASSERT_EQ(word, "frame");
    int number = 0, count = 0;
    head >> number >> count;
    Detections detections;
    std::vector<std::int64_t> expected;
    for (int i = 0; i < count; ++i) {
      Box box;
      float score = 0;
      int class_id = 0;
      std::int64_t id = 0;
      std::getline(file, line);
      std::istringstream fields(line);
      fields >> box.x1 >> box.y1 >> box.x2 >> box.y2 >> score >> class_id >> id;
      ASSERT_TRUE(fields) << line;
      detections.boxes.push_back(box);
      detections.scores.push_back(score);
      detections.classes.push_back(class_id);
      expected.push_back(id);
    }
    // An odd start: nothing may depend on time zero.
    tracker->update(detections, {1234.5 + number / 30.0});
    ASSERT_EQ(detections.tracks, expected) << scene << " frame " << number;
    ++frames[scene];
  }
  EXPECT_EQ(frames.size(), 5u);
  EXPECT_EQ(frames["sparse"], 150);
  EXPECT_LT(frames["dropped"], 130) << "this scene must lack frames";
}

}  // namespace
}  // namespace peregrine::track
