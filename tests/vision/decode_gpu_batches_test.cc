// SPDX-License-Identifier: Apache-2.0
// What decoders on the GPU owe their callers besides right answers.
#include "core/ledger.h"
#include "decode_on_gpu.h"
#include "testing/expect_error.h"

namespace peregrine::vision {
namespace {

using peregrine::testing::expect_error;

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
