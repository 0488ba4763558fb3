// SPDX-License-Identifier: Apache-2.0
// Masks on the GPU against those on the CPU: the same runs.
#include "core/ledger.h"
#include "decode_on_gpu.h"

namespace peregrine::vision {
namespace {

TEST_F(DecodeOnGpu, MasksBitForBit) {
  std::size_t masks = 0;
  for (unsigned seed = 0; seed < 18; ++seed) {
    constexpr Head kHeads[] = {Head::kYoloV8, Head::kYoloV5, Head::kYoloV10};
    Scene scene = scene_of(Task::kSegment, kHeads[seed % 3], 600, seed);
    scene.classes = 4;
    scene.batch = 1 + static_cast<int>(seed % 4);
    scene.share = 0.05f;
    scene.coefficients = seed % 2 == 0 ? 32 : 5;
    if (seed % 6 == 4) scene.cells_x = scene.cells_y = 1;
    if (seed % 6 == 5) scene.cells_x = 40, scene.cells_y = 2;
    scene.wild = seed % 7 == 6;
    DecodeOptions options;
    options.iou = 0.5f;
    options.max_detections = 40;
    options.masks = seed % 9 != 8;
    masks += expect_equal(scene, options).masks;
  }
  EXPECT_GT(masks, 200u);
}

// Sources smaller than the prototypes, where pixels skip cells, and far larger ones.
TEST_F(DecodeOnGpu, MasksAtAnyScale) {
  Scene scene = scene_of(Task::kSegment, Head::kYoloV8, 600, 2);
  scene.classes = 2;
  scene.share = 0.05f;
  scene.batch = 8;
  DecodeOptions options;
  options.max_detections = 12;
  std::vector<Letterbox> letterboxes;
  const InputSpec input = spec_of(scene).input;
  for (const auto& [width, height] :
       {std::pair{40, 30}, {1, 1}, {90, 160}, {100, 3000}, {3840, 2160}, {31, 65}, {200, 150}}) {
    letterboxes.push_back(place(width, height, input));
  }
  InputSpec stretched = input;
  stretched.fit = InputSpec::Fit::kStretch;
  letterboxes.push_back(place(2000, 20, stretched));
  EXPECT_GT(expect_equal(scene, options, letterboxes).masks, 20u);
}

// Dozens of objects that fill an 8K frame, and single masks larger than the arena.
TEST_F(DecodeOnGpu, MasksThatFindNoRoomAreComputedWhenRead) {
  Scene scene = scene_of(Task::kSegment, Head::kYoloV8, 64, 2);
  scene.classes = 1;
  scene.share = 1;
  scene.coefficients = 8;
  scene.largest = 1;
  scene.batch = 3;
  DecodeOptions options;
  options.iou = 1;
  options.max_detections = 64;
  std::vector<Tensor> outputs = make_outputs(scene);
  const InputSpec input = spec_of(scene).input;
  const std::vector<Letterbox> letterboxes{place(1920, 1080, input), place(7680, 4320, input),
                                           place(7680, 4320, input)};
  const auto before = Ledger::snapshot();
  EXPECT_GT(expect_equal(scene, options, letterboxes).masks, 100u);
  std::uint64_t bytes = 0;
  for (const LedgerEntry& entry : Ledger::difference(before, Ledger::snapshot())) {
    if (entry.stage == "postprocess" && entry.reason == "masks") bytes += entry.bytes;
  }
  EXPECT_GT(bytes, std::uint64_t{6} << 20);  // more than the arena of three pictures
  scene.batch = 1;
  options.max_detections = 2;
  EXPECT_GT(expect_equal(scene, options, {place(24000, 24000, input)}).masks, 0u);
}

}  // namespace
}  // namespace peregrine::vision
