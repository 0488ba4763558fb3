// SPDX-License-Identifier: Apache-2.0
// Heads without YOLO's boxes on the GPU against those on the CPU.
#include "decode_on_gpu.h"

namespace peregrine::vision {
namespace {

TEST_F(DecodeOnGpu, ClassesAndEmbeddings) {
  for (unsigned seed = 0; seed < 24; ++seed) {
    constexpr int kSizes[] = {1000, 1, 3, 5, 80, 257, 21843};
    Scene scene;
    scene.task = seed % 2 == 0 ? Task::kClassify : Task::kEmbed;
    scene.head = seed % 2 == 0 ? Head::kClassify : Head::kEmbed;
    scene.classes = kSizes[seed / 2 % std::size(kSizes)];
    scene.batch = 1 + static_cast<int>(seed % 12);
    scene.steps = seed % 3 == 0 ? 2 : 0;
    scene.seed = seed;
    expect_equal(scene, {});
  }
}

TEST_F(DecodeOnGpu, QueriesOfDetrAndItsFamily) {
  std::size_t objects = 0;
  for (unsigned seed = 0; seed < 36; ++seed) {
    constexpr Head kHeads[] = {Head::kDetr, Head::kDetrSigmoid, Head::kRtDetr};
    Scene scene = scene_of(Task::kDetect, kHeads[seed % 3], seed % 4 == 0 ? 300 : 100, seed);
    scene.classes = seed % 5 == 0 ? 1 : seed % 5 == 1 ? 91 : 7;
    scene.batch = 1 + static_cast<int>(seed % 7);
    scene.share = seed % 6 == 5 ? 1.0f : 0.05f;
    scene.steps = seed % 2 == 0 ? 0 : 4;
    scene.wild = seed % 7 == 6;
    scene.input_height = 480;
    DecodeOptions options = options_of(seed);
    if (seed % 8 == 7) options.classes = {scene.classes - 1};
    objects += expect_equal(scene, options).objects;
  }
  EXPECT_GT(objects, 2000u);
}

// A sigmoid each makes every class of every query a candidate: more than count.
TEST_F(DecodeOnGpu, ClassesOfQueriesBeyondWhatCounts) {
  Scene scene = scene_of(Task::kDetect, Head::kDetrSigmoid, 900, 3);
  scene.classes = 365;
  DecodeOptions options;
  options.confidence = 0;
  EXPECT_GT(expect_equal(scene, options).most, 250u);
}

TEST_F(DecodeOnGpu, DepthMaps) {
  for (unsigned seed = 0; seed < 8; ++seed) {
    Scene scene;
    scene.task = Task::kDepth;
    scene.head = Head::kDepth;
    scene.batch = 1 + static_cast<int>(seed % 3);
    scene.cells_x = seed < 4 ? 518 : 1 + static_cast<int>(seed);
    scene.cells_y = seed < 4 ? 392 : 3;
    scene.wild = seed % 3 == 2;
    scene.seed = seed;
    expect_equal(scene, {});
  }
}

}  // namespace
}  // namespace peregrine::vision
