// SPDX-License-Identifier: Apache-2.0
// The decoders on the GPU against those on the CPU: the same answers to the last bit.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/ledger.h"
#include "decode_scenes.h"
#include "engine/cuda/gpu.h"
#include "testing/expect_error.h"
#include "vision/nms.h"
#include "vision/output_decoder_cuda.h"

namespace peregrine::vision {
namespace {

using peregrine::testing::expect_error;

std::vector<TensorSpec> specs_of(const std::vector<Tensor>& outputs) {
  std::vector<TensorSpec> specs;
  for (const Tensor& output : outputs) {
    TensorSpec spec{fmt::format("output{}", specs.size()), output.dtype(), output.shape()};
    spec.shape[0] = -1;
    specs.push_back(spec);
  }
  return specs;
}

/// The outputs of a batch on the device and their decoder.
class OnGpu {
 public:
  OnGpu(const Scene& scene, const DecodeOptions& options, std::vector<Tensor>& outputs,
        int max_batch)
      : decoder_(make_gpu_output_decoder(spec_of(scene), options, specs_of(outputs), max_batch)) {
    upload(outputs);
  }

  void upload(std::vector<Tensor>& outputs) {
    buffers_.clear();
    views_.clear();
    for (Tensor& output : outputs) {
      buffers_.emplace_back(output.bytes());
      CUDA_CHECK(cudaMemcpy(buffers_.back().data(), output.data(), output.bytes(),
                            cudaMemcpyHostToDevice));
      views_.emplace_back(buffers_.back().data(), output.dtype(), output.shape(), Device::cuda());
    }
  }
  void enqueue(std::span<const Letterbox> letterboxes) {
    decoder_->enqueue(views_, letterboxes, stream_.get());
  }
  void wait() { CUDA_CHECK(cudaStreamSynchronize(stream_.get())); }
  FrameResult read(int item) {
    FrameResult result;
    decoder_->read(item, result);
    return result;
  }
  std::vector<TensorView>& views() { return views_; }

 private:
  std::unique_ptr<GpuOutputDecoder> decoder_;
  std::vector<cuda::DeviceBuffer> buffers_;
  std::vector<TensorView> views_;
  cuda::Stream stream_ = cuda::make_stream();
};

// Decodes a scene on both devices and counts what was found. `letterboxes` may be fewer than the
// scene's pictures.
struct Found {
  std::size_t objects = 0, most = 0, masks = 0;
};
Found expect_equal(const Scene& scene, const DecodeOptions& options,
                   std::vector<Letterbox> letterboxes = {}, int max_batch = 0) {
  SCOPED_TRACE(fmt::format(
      "task {} head {} classes {} anchors {} batch {} share {} steps {} wild {} seed {}: "
      "confidence {} iou {} max {} classes {}",
      to_string(scene.task), static_cast<int>(scene.head), scene.classes, scene.anchors,
      scene.batch, scene.share, scene.steps, scene.wild, scene.seed, options.confidence,
      options.iou, options.max_detections, options.classes.size()));
  if (letterboxes.empty()) letterboxes = make_letterboxes(scene);
  std::vector<Tensor> outputs = make_outputs(scene);
  OnGpu gpu(scene, options, outputs, max_batch == 0 ? scene.batch : max_batch);
  gpu.enqueue(letterboxes);
  gpu.wait();
  const auto reference = make_output_decoder(spec_of(scene), options);
  std::vector<TensorView> views;
  for (Tensor& output : outputs) views.push_back(output.view());
  Found found;
  for (int item = 0; item < std::ssize(letterboxes); ++item) {
    FrameResult wanted;
    reference->decode(views, item, letterboxes[static_cast<std::size_t>(item)], wanted);
    const std::string text = difference(gpu.read(item), wanted);
    EXPECT_EQ(text, "") << "picture " << item;
    found.objects += wanted.detections.size();
    found.most = std::max(found.most, wanted.detections.size());
    found.masks += wanted.detections.masks.size();
  }
  return found;
}

Scene scene_of(Task task, Head head, int anchors, unsigned seed) {
  Scene scene;
  scene.task = task;
  scene.head = head;
  scene.anchors = anchors;
  scene.seed = seed;
  return scene;
}

DecodeOptions options_of(unsigned seed) {
  constexpr float kConfidences[] = {0.25f, 0.001f, 0.5f, 0.05f, 0.9f};
  constexpr float kOverlaps[] = {0.7f, 0.3f, 0.45f, 0.9f, 0.0f, 1.0f};
  constexpr int kLimits[] = {300, 1, 7, 64, 65, 128, 1000};
  DecodeOptions options;
  options.confidence = kConfidences[seed % std::size(kConfidences)];
  options.iou = kOverlaps[seed % std::size(kOverlaps)];
  options.max_detections = kLimits[seed % std::size(kLimits)];
  return options;
}

class DecodeOnGpu : public ::testing::Test {
 protected:
  void SetUp() override { PEREGRINE_NEEDS_GPU(); }
};

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
  options.max_detections = 24;
  std::vector<Tensor> outputs = make_outputs(scene);
  const InputSpec input = spec_of(scene).input;
  const std::vector<Letterbox> letterboxes{place(1920, 1080, input), place(7680, 4320, input),
                                           place(640, 480, input)};
  const auto before = Ledger::snapshot();
  EXPECT_GT(expect_equal(scene, options, letterboxes).masks, 40u);
  std::uint64_t bytes = 0;
  for (const LedgerEntry& entry : Ledger::difference(before, Ledger::snapshot())) {
    if (entry.stage == "postprocess" && entry.reason == "masks") bytes += entry.bytes;
  }
  EXPECT_GT(bytes, std::uint64_t{11} << 20);  // more than the arena of three pictures
  scene.batch = 1;
  options.max_detections = 2;
  EXPECT_GT(expect_equal(scene, options, {place(24000, 24000, input)}).masks, 0u);
}

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

// More pictures than one launch takes, fewer than the decoder could, and batches in a row: nothing
// of one shows in the next.
TEST_F(DecodeOnGpu, BatchesDoNotMeet) {
  Scene scene = scene_of(Task::kDetect, Head::kYoloV8, 400, 8);
  scene.classes = 3;
  scene.share = 0.2f;
  scene.batch = 70;
  expect_equal(scene, {}, {}, 130);

  scene.task = Task::kSegment;
  scene.batch = 5;
  scene.share = 0.05f;
  std::vector<Letterbox> letterboxes = make_letterboxes(scene);
  std::vector<Tensor> outputs = make_outputs(scene);
  OnGpu gpu(scene, {}, outputs, 9);
  const auto reference = make_output_decoder(spec_of(scene), {});
  for (unsigned round = 0; round < 6; ++round) {
    scene.seed = 8 + round / 2;  // each twice
    scene.share = round < 4 ? 0.05f : 0;
    outputs = make_outputs(scene);
    gpu.upload(outputs);
    const std::span<const Letterbox> some(letterboxes.data(), round % 3 == 0 ? 5 : 2);
    gpu.enqueue(some);
    gpu.wait();
    std::vector<TensorView> views;
    for (Tensor& output : outputs) views.push_back(output.view());
    for (int item = static_cast<int>(some.size()) - 1; item >= 0; --item) {
      FrameResult wanted;
      reference->decode(views, item, some[static_cast<std::size_t>(item)], wanted);
      EXPECT_EQ(difference(gpu.read(item), wanted), "") << "round " << round << " item " << item;
    }
  }
}

// Many enqueued without a wait between them give the last one's answer, ever the same.
TEST_F(DecodeOnGpu, ChainedRepeatsAgree) {
  for (const Task task : {Task::kDetect, Task::kSegment, Task::kObb}) {
    Scene scene = scene_of(task, Head::kYoloV8, 2100, 12);
    scene.classes = 5;
    scene.share = 0.1f;
    scene.batch = 4;
    std::vector<Tensor> outputs = make_outputs(scene);
    const std::vector<Letterbox> letterboxes = make_letterboxes(scene);
    OnGpu gpu(scene, {}, outputs, 4);
    std::vector<FrameResult> first;
    for (int repeat = 0; repeat < 10; ++repeat) {
      for (int chained = 0; chained < 5; ++chained) gpu.enqueue(letterboxes);
      gpu.wait();
      for (int item = 0; item < 4; ++item) {
        if (repeat == 0) {
          first.push_back(gpu.read(item));
        } else {
          EXPECT_EQ(difference(gpu.read(item), first[static_cast<std::size_t>(item)]), "");
        }
      }
    }
  }
}

TEST_F(DecodeOnGpu, OneCopyABatch) {
  Scene scene = scene_of(Task::kDetect, Head::kYoloV8, 2100, 1);
  scene.batch = 4;
  std::vector<Tensor> outputs = make_outputs(scene);
  OnGpu gpu(scene, {}, outputs, 4);
  const auto before = Ledger::snapshot();
  gpu.enqueue(make_letterboxes(scene));
  gpu.wait();
  for (int item = 0; item < 4; ++item) gpu.read(item);
  const auto moved = Ledger::difference(before, Ledger::snapshot());
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].stage, "postprocess");
  EXPECT_EQ(moved[0].reason, "results");
  EXPECT_EQ(moved[0].transfers, 1u);
  EXPECT_LE(moved[0].bytes, 4u * 16 * 1024);
}

TEST_F(DecodeOnGpu, WhatDoesNotFitIsRefused) {
  Scene scene = scene_of(Task::kDetect, Head::kYoloV8, 300, 1);
  scene.classes = 3;
  const TaskSpec spec = spec_of(scene);
  const auto make = [](const TaskSpec& task, const Shape& shape, const DecodeOptions& options = {},
                       DType dtype = DType::kFloat32, int max_batch = 2) {
    const std::vector<TensorSpec> outputs{{"out", dtype, shape}};
    return make_gpu_output_decoder(task, options, outputs, max_batch);
  };
  expect_error(ErrorCode::kInvalidShape, {"[?, 8, 300]", "8 channels", "--task"}, [&] {
    make(spec, {-1, 8, 300});
  });
  expect_error(ErrorCode::kInvalidShape, {"'out'", "float16"}, [&] {
    make(spec, {-1, 7, 300}, {}, DType::kFloat16);
  });
  expect_error(ErrorCode::kInvalidShape, {"'out'", "3 dimensions", "known"}, [&] {
    make(spec, {-1, 7, -1});
  });
  expect_error(ErrorCode::kInvalidArgument, {"batches of up to 0"}, [&] {
    make(spec, {-1, 7, 300}, {}, DType::kFloat32, 0);
  });
  DecodeOptions options;
  options.classes = {3};
  expect_error(ErrorCode::kInvalidArgument, {"class 3", "0 to 2"}, [&] {
    make(spec, {-1, 7, 300}, options);
  });
  TaskSpec classify = spec;
  classify.head = Head::kClassify;
  classify.task = Task::kClassify;
  expect_error(ErrorCode::kInvalidShape, {"7 scores for 3 classes", "--labels"}, [&] {
    make(classify, {-1, 7});
  });
  expect_error(ErrorCode::kInvalidShape, {"one row of numbers"}, [&] {
    make(classify, {-1, 3, 2, 2});
  });
  TaskSpec segment = spec;
  segment.task = Task::kSegment;
  segment.mask_coefficients = 2;
  segment.prototypes_output = 1;
  expect_error(ErrorCode::kInvalidShape, {"output 1 is wanted", "has 1"}, [&] {
    make(segment, {-1, 9, 300});
  });

  TaskSpec detr = spec;
  detr.head = Head::kRtDetr;
  expect_error(ErrorCode::kInvalidShape, {"[?, 300, 9]", "4 + 3 classes", "--labels"}, [&] {
    make(detr, {-1, 300, 9});
  });
  TaskSpec depth = spec;
  depth.head = Head::kDepth;
  depth.task = Task::kDepth;
  expect_error(ErrorCode::kInvalidArgument, {"kStretch"}, [&] { make(depth, {-1, 8, 8}); });
  depth.input.fit = InputSpec::Fit::kStretch;
  expect_error(ErrorCode::kInvalidShape, {"[?, 2, 8, 8]", "depth map"}, [&] {
    make(depth, {-1, 2, 8, 8});
  });

  std::vector<Tensor> outputs = make_outputs(scene);
  OnGpu gpu(scene, {}, outputs, 2);
  const std::vector<Letterbox> letterboxes(3, place(640, 480, spec.input));
  expect_error(ErrorCode::kInvalidArgument, {"3 pictures", "1 to 2"},
               [&] { gpu.enqueue(letterboxes); });
  expect_error(ErrorCode::kInvalidShape, {"decoding 2 pictures", "cuda:0"},
               [&] { gpu.enqueue(std::span(letterboxes).first(2)); });
  expect_error(ErrorCode::kInvalidArgument, {"picture 0 of a batch of 0"}, [&] { gpu.read(0); });
  gpu.views()[0].device = Device::cpu();
  expect_error(ErrorCode::kInvalidShape, {"on cpu"},
               [&] { gpu.enqueue(std::span(letterboxes).first(1)); });
}

}  // namespace
}  // namespace peregrine::vision
