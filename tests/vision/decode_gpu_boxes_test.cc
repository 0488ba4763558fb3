// SPDX-License-Identifier: Apache-2.0
// YOLO's heads on the GPU against those on the CPU: the same answers to the last bit.
#include "decode_on_gpu.h"
#include "vision/nms.h"

namespace peregrine::vision {
namespace {

// Heads of small models, so that many seeds, options and batches are tried.
TEST_F(DecodeOnGpu, DetectAsOnTheCpuWhateverTheOptions) {
  std::size_t objects = 0;
  for (unsigned seed = 0; seed < 72; ++seed) {
    constexpr Head kHeads[] = {Head::kYoloV8, Head::kYoloV5, Head::kYoloV10};
    Scene scene =
        scene_of(Task::kDetect, kHeads[seed % 3], 300 + static_cast<int>(seed % 5) * 147, seed);
    scene.classes = seed % 4 == 0 ? 80 : 1 + static_cast<int>(seed % 13);
    scene.batch = 1 + static_cast<int>(seed % 6);
    scene.share = seed % 7 == 0 ? 1.0f : seed % 7 == 1 ? 0.0f : 0.2f;
    scene.steps = seed % 2 == 0 ? 0 : 20;
    scene.spread = seed % 3 == 0 ? 4 : 20;
    scene.wild = seed % 5 == 3;
    DecodeOptions options = options_of(seed);
    if (seed % 6 == 5) options.classes = {0, scene.classes / 2};
    objects += expect_equal(scene, options).objects;
  }
  EXPECT_GT(objects, 2000u);
}

TEST_F(DecodeOnGpu, DetectAtTheSizesOfRealModels) {
  DecodeOptions options;
  Scene scene = scene_of(Task::kDetect, Head::kYoloV8, 8400, 5);
  scene.batch = 8;
  scene.share = 0.03f;
  EXPECT_GT(expect_equal(scene, options).most, 50u);
  options.confidence = 0.001f;  // nearly everything passes: many rounds
  EXPECT_EQ(expect_equal(scene, options).most, 300u);
  scene = scene_of(Task::kDetect, Head::kYoloV5, 25200, 6);
  scene.batch = 2;
  scene.share = 0.01f;
  options.confidence = 0.25f;
  EXPECT_GT(expect_equal(scene, options).most, 50u);
}

// Ever the same score, ever the same place, no end of candidates: rounds end where ties go on.
TEST_F(DecodeOnGpu, ExtremesOfSelection) {
  Scene scene = scene_of(Task::kDetect, Head::kYoloV8, 8400, 3);
  scene.classes = 2;
  scene.share = 1;
  scene.steps = 1;  // 0 or 1
  DecodeOptions options;
  for (const float iou : {0.01f, 0.5f, 1.0f}) {
    for (const int limit : {1, 300, 512, 513, 30000}) {
      options.iou = iou;
      options.max_detections = limit;
      expect_equal(scene, options);
    }
  }
  scene.spread = 1;  // one heap: few are kept, so that all rounds are run through
  scene.steps = 0;
  options = {};
  options.confidence = 0;
  options.iou = 0.3f;
  EXPECT_LT(expect_equal(scene, options).most, 300u);
}

TEST_F(DecodeOnGpu, OnlyTheBestCandidatesCount) {
  Scene scene = scene_of(Task::kDetect, Head::kYoloV8, static_cast<int>(kMaxCandidates) + 3600, 4);
  scene.classes = 1;
  scene.share = 1;
  scene.spread = 1;
  DecodeOptions options;
  options.confidence = 0;
  options.iou = 0.5f;
  options.max_detections = 40000;
  const std::vector<Letterbox> whole{place(640, 640, InputSpec{})};
  expect_equal(scene, options, whole);
  options.iou = 1;  // everything is kept; some of it lies left of or above the picture
  const std::size_t kept = expect_equal(scene, options, whole).most;
  EXPECT_GT(kept, kMaxCandidates - 1000);
  EXPECT_LE(kept, kMaxCandidates);
}

TEST_F(DecodeOnGpu, PoseWithEachKindOfKeypointsAndMorePosesThanOneBlockHolds) {
  std::size_t most = 0;
  for (unsigned seed = 0; seed < 16; ++seed) {
    Scene scene = scene_of(Task::kPose, seed % 4 == 3 ? Head::kYoloV10 : Head::kYoloV8, 1200, seed);
    scene.classes = 1 + static_cast<int>(seed % 2);
    scene.batch = 1 + static_cast<int>(seed % 3);
    scene.share = 0.3f;
    scene.keypoints = seed % 3 == 0 ? 17 : 5;
    scene.keypoint_values = seed % 2 == 0 ? 3 : 2;
    scene.wild = seed % 5 == 4;
    most = std::max(most, expect_equal(scene, options_of(seed)).most);
  }
  EXPECT_GT(most, 100u);  // a block holds 70
}

TEST_F(DecodeOnGpu, OrientedBoxes) {
  std::size_t objects = 0;
  for (unsigned seed = 0; seed < 24; ++seed) {
    Scene scene = scene_of(Task::kObb, seed % 4 == 3 ? Head::kYoloV10 : Head::kYoloV8, 1600, seed);
    scene.classes = 1 + static_cast<int>(seed % 15);
    scene.batch = 1 + static_cast<int>(seed % 3);
    scene.share = 0.4f;
    scene.steps = seed % 3 == 0 ? 50 : 0;
    scene.spread = 6;
    scene.wild = seed % 6 == 5;
    objects += expect_equal(scene, options_of(seed)).objects;
  }
  EXPECT_GT(objects, 500u);
  // All of them: more candidates than one round takes.
  Scene scene = scene_of(Task::kObb, Head::kYoloV8, 5376, 9);
  scene.classes = 3;
  scene.share = 1;
  scene.spread = 3;
  DecodeOptions options;
  options.confidence = 0.01f;
  options.max_detections = 600;
  expect_equal(scene, options);
}

}  // namespace
}  // namespace peregrine::vision
