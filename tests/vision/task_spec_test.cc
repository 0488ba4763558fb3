// SPDX-License-Identifier: Apache-2.0
#include "vision/task_spec.h"

#include <gtest/gtest.h>

#include "testing/expect_error.h"

namespace peregrine::vision {
namespace {

using peregrine::testing::expect_error;

ModelInfo model_of(std::vector<Shape> outputs, std::map<std::string, std::string> metadata = {},
                   Shape input = {-1, 3, 640, 640}) {
  ModelInfo model;
  model.path = "m.onnx";
  model.inputs = {{"images", DType::kFloat32, std::move(input)}};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    model.outputs.push_back({"output" + std::to_string(i), DType::kFloat32, outputs[i]});
  }
  model.metadata = std::move(metadata);
  return model;
}

std::string names(int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i) text += std::to_string(i) + ": 'n" + std::to_string(i) + "', ";
  return text + "}";
}

const auto case_name = [](const auto& tested) {
  std::string name = tested.param.what;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
};

struct Case {
  const char* what;
  ModelInfo model;
  Task task;
  Head head;
  int classes;
  int keypoints = 0, coefficients = 0, prototypes = -1;
};

class Identify : public ::testing::TestWithParam<Case> {};

TEST_P(Identify, TaskHeadAndLayout) {
  const Case& wanted = GetParam();
  const TaskSpec got = identify_task(wanted.model, {});
  EXPECT_STREQ(to_string(got.task), to_string(wanted.task));
  EXPECT_EQ(got.head, wanted.head);
  EXPECT_EQ(got.class_count, wanted.classes);
  EXPECT_EQ(std::ssize(got.labels), wanted.classes);
  EXPECT_EQ(got.keypoint_count, wanted.keypoints);
  EXPECT_EQ(got.mask_coefficients, wanted.coefficients);
  EXPECT_EQ(got.prototypes_output, wanted.prototypes);
  EXPECT_EQ(got.boxes_output, 0);
  EXPECT_FALSE(got.reason.empty());
  EXPECT_EQ(got.input.fit, InputSpec::Fit::kLetterbox);
}

const Case kCases[] = {
    {"v8 by shape", model_of({{-1, 84, 8400}}), Task::kDetect, Head::kYoloV8, 80},
    {"v8 with P6", model_of({{1, 84, 34000}}, {}, {1, 3, 1280, 1280}), Task::kDetect, Head::kYoloV8,
     80},
    {"v8, fewer anchors than channels", model_of({{1, 84, 21}}, {}, {1, 3, 32, 32}), Task::kDetect,
     Head::kYoloV8, 80},
    {"v8, one class", model_of({{-1, 5, 8400}}), Task::kDetect, Head::kYoloV8, 1},
    {"shape unknown, metadata",
     model_of({{-1, -1, -1}}, {{"task", "detect"}, {"names", names(80)}}), Task::kDetect,
     Head::kYoloV8, 80},
    {"v5", model_of({{1, 25200, 85}}), Task::kDetect, Head::kYoloV5, 80},
    {"v5 with raw maps",
     model_of({{1, 25200, 7}, {1, 3, 80, 80, 7}, {1, 3, 40, 40, 7}, {1, 3, 20, 20, 7}},
              {{"stride", "32"}, {"names", "['a', 'b']"}}),
     Task::kDetect, Head::kYoloV5, 2},
    {"v5, one class, is no v10", model_of({{1, 25200, 6}}, {{"names", names(1)}}), Task::kDetect,
     Head::kYoloV5, 1},
    {"v5, rectangular", model_of({{1, 15120, 85}}, {}, {1, 3, 384, 640}), Task::kDetect,
     Head::kYoloV5, 80},
    {"v5 segment", model_of({{1, 25200, 117}, {1, 32, 160, 160}}), Task::kSegment, Head::kYoloV5,
     80, 0, 32, 1},
    {"v8 segment", model_of({{-1, 116, 8400}, {-1, 32, 160, 160}}), Task::kSegment, Head::kYoloV8,
     80, 0, 32, 1},
    {"segment, shape unknown",
     model_of({{-1, -1, -1}, {-1, 32, 160, 160}}, {{"task", "segment"}, {"names", names(80)}}),
     Task::kSegment, Head::kYoloV8, 80, 0, 32, 1},
    {"pose",
     model_of({{-1, 56, 8400}}, {{"task", "pose"}, {"names", names(1)}, {"kpt_shape", "[17, 3]"}}),
     Task::kPose, Head::kYoloV8, 1, 17},
    {"COCO pose by shape", model_of({{-1, 56, 8400}}), Task::kPose, Head::kYoloV8, 1, 17},
    {"80 classes and 17 keypoints", model_of({{-1, 135, 8400}}, {{"names", names(80)}}),
     Task::kPose, Head::kYoloV8, 80, 17},
    {"pose of two values",
     model_of({{-1, 13, 8400}}, {{"task", "pose"}, {"names", names(1)}, {"kpt_shape", "[4, 2]"}}),
     Task::kPose, Head::kYoloV8, 1, 4},
    {"obb by metadata", model_of({{-1, 20, 8400}}, {{"task", "obb"}, {"names", names(15)}}),
     Task::kObb, Head::kYoloV8, 15},
    {"obb by names", model_of({{-1, 20, 8400}}, {{"names", names(15)}}), Task::kObb, Head::kYoloV8,
     15},
    {"v10", model_of({{-1, 300, 6}}, {{"task", "detect"}, {"names", names(80)}}), Task::kDetect,
     Head::kYoloV10, 80},
    {"end to end by flag",
     model_of({{-1, -1, -1}}, {{"task", "detect"}, {"names", names(3)}, {"end2end", "True"}}),
     Task::kDetect, Head::kYoloV10, 3},
    {"end-to-end segment",
     model_of({{1, 300, 38}, {1, 32, 160, 160}}, {{"names", names(80)}, {"end2end", "True"}}),
     Task::kSegment, Head::kYoloV10, 80, 0, 32, 1},
    {"end-to-end pose",
     model_of({{1, 300, 57}}, {{"task", "pose"}, {"names", names(1)}, {"kpt_shape", "[17, 3]"}}),
     Task::kPose, Head::kYoloV10, 1, 17},
    {"end-to-end obb", model_of({{1, 300, 7}}, {{"names", names(15)}}), Task::kObb, Head::kYoloV10,
     15},
};
INSTANTIATE_TEST_SUITE_P(All, Identify, ::testing::ValuesIn(kCases), case_name);

TEST(IdentifyFlat, ReidClipAndClassifiers) {
  const TaskSpec reid = identify_task(model_of({{-1, 512}}, {}, {-1, 3, 256, 128}), {});
  EXPECT_EQ(reid.task, Task::kEmbed);
  EXPECT_EQ(reid.head, Head::kEmbed);
  EXPECT_EQ(reid.input.fit, InputSpec::Fit::kStretch);
  EXPECT_EQ(reid.input.height, 256);
  EXPECT_EQ(reid.input.width, 128);
  EXPECT_FLOAT_EQ(reid.input.mean[0], 0.485f);
  EXPECT_FLOAT_EQ(reid.input.std[2], 0.225f);

  const TaskSpec clip = identify_task(model_of({{-1, 512}}, {}, {-1, 3, 224, 224}), {});
  EXPECT_EQ(clip.task, Task::kEmbed);
  EXPECT_EQ(clip.input.fit, InputSpec::Fit::kCenterCrop);
  EXPECT_FLOAT_EQ(clip.input.mean[0], 0.48145466f);

  const TaskSpec imagenet = identify_task(model_of({{-1, 1000}}, {}, {-1, 3, 224, 224}), {});
  EXPECT_EQ(imagenet.task, Task::kClassify);
  EXPECT_EQ(imagenet.class_count, 1000);
  EXPECT_EQ(imagenet.labels[7], "class 7");
  EXPECT_FLOAT_EQ(imagenet.input.crop, 0.875f);
  EXPECT_FLOAT_EQ(imagenet.input.mean[0], 0.485f);

  const TaskSpec yolo = identify_task(
      model_of({{-1, 3}}, {{"task", "classify"}, {"names", names(3)}}, {-1, 3, 224, 224}), {});
  EXPECT_EQ(yolo.task, Task::kClassify);
  EXPECT_EQ(yolo.input.fit, InputSpec::Fit::kCenterCrop);
  EXPECT_FLOAT_EQ(yolo.input.crop, 1);
  EXPECT_FLOAT_EQ(yolo.input.mean[0], 0);
  EXPECT_FLOAT_EQ(yolo.input.std[0], 1);

  TaskOverrides as_classifier;
  as_classifier.task = Task::kClassify;
  EXPECT_EQ(identify_task(model_of({{-1, 77}}, {}, {-1, 3, 224, 224}), as_classifier).class_count,
            77);
}

TEST(IdentifyInput, SizeOfSymbolicModels) {
  TaskOverrides overrides;
  overrides.image_size = 416;
  const ModelInfo open = model_of({{-1, 84, -1}}, {}, {-1, 3, -1, -1});
  EXPECT_EQ(identify_task(open, overrides).input.height, 416);
  const TaskSpec from_metadata = identify_task(
      model_of({{-1, 84, -1}}, {{"imgsz", "[384, 640]"}, {"task", "detect"}, {"names", names(80)}},
               {-1, 3, -1, -1}),
      {});
  EXPECT_EQ(from_metadata.input.height, 384);
  EXPECT_EQ(from_metadata.input.width, 640);
  expect_error(ErrorCode::kTaskUnknown, {"m.onnx", "[?, 3, ?, ?]", "--imgsz"},
               [&] { identify_task(open, {}); });
  expect_error(ErrorCode::kTaskUnknown, {"fixed at 640x640", "--imgsz 416"}, [&] {
    identify_task(model_of({{-1, 84, 8400}}), overrides);
  });
}

TEST(IdentifyOverrides, WhatTheUserSaysWins) {
  TaskOverrides overrides;
  overrides.task = Task::kPose;
  const TaskSpec pose = identify_task(model_of({{-1, 135, 8400}}), overrides);
  EXPECT_EQ(pose.task, Task::kPose);
  EXPECT_EQ(pose.class_count, 80);
  EXPECT_EQ(pose.keypoint_count, 17);
  overrides.task = Task::kDetect;
  overrides.labels = {"cat", "dog"};
  const TaskSpec detect =
      identify_task(model_of({{-1, 6, 8400}}, {{"names", names(1)}, {"task", "obb"}}), overrides);
  EXPECT_EQ(detect.task, Task::kDetect);
  EXPECT_EQ(detect.labels, (std::vector<std::string>{"cat", "dog"}));
  overrides.task.reset();
  EXPECT_EQ(identify_task(model_of({{-1, -1, -1}}, {{"task", "detect"}}), overrides).class_count,
            2);
}

ModelInfo named_model(std::vector<std::pair<std::string, Shape>> outputs,
                      std::map<std::string, std::string> metadata = {},
                      Shape input = {-1, 3, 640, 640}) {
  ModelInfo model = model_of({}, std::move(metadata), std::move(input));
  for (auto& [name, shape] : outputs) {
    model.outputs.push_back({name, DType::kFloat32, std::move(shape)});
  }
  return model;
}

struct DetrCase {
  const char* what;
  ModelInfo model;
  Head head;
  int classes, scores, boxes;
  float mean;  // of red
  const char* third_label = nullptr;
};

class IdentifyDetr : public ::testing::TestWithParam<DetrCase> {};

TEST_P(IdentifyDetr, HeadOutputsAndClasses) {
  const DetrCase& wanted = GetParam();
  for (const auto& task : {std::optional<Task>(), std::optional(Task::kDetect)}) {
    TaskOverrides overrides;
    overrides.task = task;
    const TaskSpec got = identify_task(wanted.model, overrides);
    EXPECT_EQ(got.task, Task::kDetect);
    EXPECT_EQ(got.head, wanted.head);
    EXPECT_EQ(got.class_count, wanted.classes);
    ASSERT_EQ(std::ssize(got.labels), wanted.classes);
    EXPECT_EQ(got.scores_output, wanted.scores);
    EXPECT_EQ(got.boxes_output, wanted.boxes);
    EXPECT_EQ(got.input.fit, InputSpec::Fit::kStretch);
    EXPECT_FLOAT_EQ(got.input.mean[0], wanted.mean);
    EXPECT_EQ(got.labels[3], wanted.third_label ? wanted.third_label : "class 3");
    EXPECT_FALSE(got.reason.empty());
  }
}

const DetrCase kDetrCases[] = {
    {"DETR by shapes", model_of({{-1, 100, 92}, {-1, 100, 4}}, {}, {-1, 3, 800, 800}), Head::kDetr,
     91, 0, 1, 0.485f, "car"},
    {"boxes first", model_of({{-1, 100, 4}, {-1, 100, 92}}, {}, {-1, 3, 800, 800}), Head::kDetr, 91,
     1, 0, 0.485f, "car"},
    {"Hugging Face, with layers beside",
     named_model({{"last_hidden_state", {-1, 100, 256}},
                  {"pred_boxes", {-1, 100, 4}},
                  {"logits", {-1, 100, 92}}}),
     Head::kDetr, 91, 2, 1, 0.485f, "car"},
    {"named classes and none", model_of({{-1, 100, 6}, {-1, 100, 4}}, {{"names", names(5)}}),
     Head::kDetr, 5, 0, 1, 0.485f, "n3"},
    {"named classes alone", model_of({{-1, 300, 5}, {-1, 300, 4}}, {{"names", names(5)}}),
     Head::kDetrSigmoid, 5, 0, 1, 0, "n3"},
    {"RT-DETR of Hugging Face",
     named_model({{"logits", {-1, 300, 80}}, {"pred_boxes", {-1, 300, 4}}}), Head::kDetrSigmoid, 80,
     0, 1, 0},
    {"RF-DETR", named_model({{"dets", {-1, 300, 4}}, {"labels", {-1, 300, 91}}}),
     Head::kDetrSigmoid, 91, 1, 0, 0.485f, "car"},
    {"RT-DETR of Ultralytics",
     model_of(
         {{-1, 300, 84}},
         {{"task", "detect"}, {"description", "Ultralytics rtdetr-l model"}, {"names", names(80)}}),
     Head::kRtDetr, 80, -1, 0, 0, "n3"},
    {"RT-DETR by a column a class", model_of({{-1, 300, 12}}, {{"names", names(8)}}), Head::kRtDetr,
     8, -1, 0, 0, "n3"},
};
INSTANTIATE_TEST_SUITE_P(All, IdentifyDetr, ::testing::ValuesIn(kDetrCases), case_name);

TEST(IdentifyDepth, ByFormByNameAndByFlag) {
  const auto expect_depth = [](const ModelInfo& model, int output, std::optional<Task> task = {}) {
    TaskOverrides overrides;
    overrides.task = task;
    const TaskSpec got = identify_task(model, overrides);
    EXPECT_EQ(got.task, Task::kDepth);
    EXPECT_EQ(got.head, Head::kDepth);
    EXPECT_EQ(got.boxes_output, output);
    EXPECT_EQ(got.input.fit, InputSpec::Fit::kStretch);
    EXPECT_FLOAT_EQ(got.input.mean[2], 0.406f);
    EXPECT_FLOAT_EQ(got.input.std[0], 0.229f);
    EXPECT_TRUE(got.labels.empty());
  };
  expect_depth(model_of({{-1, 518, 518}}, {}, {-1, 3, 518, 518}), 0);
  expect_depth(named_model({{"features", {-1, 64}}, {"predicted_depth", {-1, 1, 384, 384}}}), 1);
  expect_depth(model_of({{-1, 64}, {-1, 1, 256, 256}}), 1, Task::kDepth);
  expect_depth(model_of({{-1, 256, 256}}, {{"task", "depth"}}), 0);
}

TEST(IdentifyFlat, TheEmbeddingAmongOtherLayers) {
  const TaskSpec clip =
      identify_task(named_model({{"last_hidden_state", {-1, 50, 768}}, {"image_embeds", {-1, 640}}},
                                {}, {-1, 3, 224, 224}),
                    {});
  EXPECT_EQ(clip.task, Task::kEmbed);
  EXPECT_EQ(clip.boxes_output, 1);
  EXPECT_FLOAT_EQ(clip.input.mean[0], 0.48145466f);
}

TEST(IdentifyOverrides, Normalization) {
  TaskOverrides overrides;
  overrides.normalization = Normalization::kImageNet;
  EXPECT_FLOAT_EQ(identify_task(model_of({{-1, 84, 8400}}), overrides).input.std[1], 0.224f);
  overrides.normalization = Normalization::kNone;
  const TaskSpec plain = identify_task(model_of({{-1, 512}}, {}, {-1, 3, 224, 224}), overrides);
  EXPECT_FLOAT_EQ(plain.input.mean[1], 0);
  EXPECT_FLOAT_EQ(plain.input.std[1], 1);
}

struct Refusal {
  const char* what;
  ModelInfo model;
  std::vector<std::string> parts;
  std::optional<Task> task;
};

class Refuse : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refuse, SaysWhatItSawAndWhichFlagHelps) {
  TaskOverrides overrides;
  overrides.task = GetParam().task;
  std::vector<std::string> parts = GetParam().parts;
  parts.push_back("m.onnx");
  expect_error(ErrorCode::kTaskUnknown, parts, [&] { identify_task(GetParam().model, overrides); });
}

const Refusal kRefusals[] = {
    {"nothing known", model_of({{-1, -1, -1}}), {"[?, ?, ?]", "--task", "--labels"}, {}},
    {"classes unknown", model_of({{-1, -1, -1}}, {{"task", "detect"}}), {"--labels"}, {}},
    {"v10 without names", model_of({{-1, 300, 6}}), {"end-to-end", "--labels"}, {}},
    {"names do not fit",
     model_of({{-1, 84, 8400}}, {{"task", "detect"}, {"names", names(7)}}),
     {"80 classes", "names 7", "--labels"},
     {}},
    {"names unreadable", model_of({{-1, 84, 8400}}, {{"names", "?"}}), {"--labels FILE"}, {}},
    {"too few channels",
     model_of({{-1, 20, 8400}}, {{"task", "pose"}}),
     {"20 channels", "--task"},
     {}},
    {"segment without prototypes",
     model_of({{-1, 84, 8400}}),
     {"prototypes", "--task detect"},
     Task::kSegment},
    {"boxes are no classes",
     model_of({{-1, 84, 8400}}),
     {"--task says classify", "--task detect"},
     Task::kClassify},
    {"classes are no boxes",
     model_of({{-1, 1000}}, {}, {-1, 3, 224, 224}),
     {"--task says detect", "--task classify"},
     Task::kDetect},
    {"v5 has no angle", model_of({{1, 25200, 85}}), {"no angle"}, Task::kObb},
    {"embedding or classes",
     model_of({{-1, 384}}, {}, {-1, 3, 224, 224}),
     {"--task classify", "--task embed"},
     {}},
    {"unknown task in metadata",
     model_of({{-1, 84, 8400}}, {{"task", "panoptic"}}),
     {"'panoptic'", "--task"},
     {}},
    {"DETR with classes of its own",
     model_of({{-1, 100, 6}, {-1, 100, 4}}, {}, {-1, 3, 800, 800}),
     {"DETR", "6 logits", "--labels"},
     {}},
    {"DETR with other names",
     model_of({{-1, 100, 92}, {-1, 100, 4}}, {{"names", names(80)}}, {-1, 3, 800, 800}),
     {"92 logits", "91 classes", "names 80", "--labels"},
     {}},
    {"DETR of three classes, unnamed",
     model_of({{-1, 100, 4}, {-1, 100, 4}}, {}, {-1, 3, 800, 800}),
     {"DETR", "'logits' and 'pred_boxes'"},
     {}},
    {"DETR with a third output",
     model_of({{-1, 100, 92}, {-1, 100, 4}, {-1, 100, 256}}, {}, {-1, 3, 800, 800}),
     {"DETR", "'logits' and 'pred_boxes'"},
     {}},
    {"logits and boxes of other queries",
     model_of({{-1, 100, 92}, {-1, 50, 4}}, {}, {-1, 3, 800, 800}),
     {"[?, 100, 92]", "[?, 50, 4]", "same queries"},
     {}},
    {"masks of DETR",
     model_of({{-1, 100, 92}, {-1, 100, 4}}, {}, {-1, 3, 800, 800}),
     {"masks", "--task detect"},
     Task::kSegment},
    {"no map for depth", model_of({{-1, 1000}}), {"--task says depth", "[batch, 1,"}, Task::kDepth},
    {"a map of several channels",
     model_of({{-1, 3, 640, 640}}),
     {"--task says depth"},
     Task::kDepth},
    {"RT-DETR with two values too few",
     model_of({{-1, 300, 11}}, {{"names", names(9)}}),
     {"11 values"},
     {}},
    {"anchors first", model_of({{-1, 8400, 85}}), {"YOLOX"}, {}},
    {"no YOLO's row count", model_of({{-1, 5000, 85}}), {"5000 rows", "640x640"}, {}},
    {"picture output", model_of({{-1, 3, 640, 640}}), {"[?, 3, 640, 640]"}, {}},
    {"channels last", model_of({{-1, 84, 8400}}, {}, {1, 640, 640, 3}), {"channels first"}, {}},
    {"no outputs", model_of({}), {"no outputs"}, {}},
    {"bad keypoints",
     model_of({{-1, 56, 8400}}, {{"task", "pose"}, {"kpt_shape", "[17, 5]"}}),
     {"kpt_shape"},
     {}},
};
INSTANTIATE_TEST_SUITE_P(All, Refuse, ::testing::ValuesIn(kRefusals), case_name);

TEST(Refuse, WhatThePostProcessorOfRtDetrGives) {
  ModelInfo model =
      named_model({{"labels", {-1, 300}}, {"boxes", {-1, 300, 4}}, {"scores", {-1, 300}}});
  expect_error(ErrorCode::kTaskUnknown, {"post-processor", "logits and boxes", "Ultralytics"},
               [&] { identify_task(model, {}); });
  model.inputs.push_back({"orig_target_sizes", DType::kInt64, {-1, 2}});
  expect_error(ErrorCode::kTaskUnknown, {"'orig_target_sizes'", "post-processor"},
               [&] { identify_task(model, {}); });
}

TEST(Refuse, AMaskInput) {
  ModelInfo model = named_model({{"logits", {-1, 100, 92}}, {"pred_boxes", {-1, 100, 4}}});
  model.inputs.push_back({"pixel_mask", DType::kInt64, {-1, 64, 64}});
  expect_error(ErrorCode::kTaskUnknown, {"'pixel_mask'", "pictures of one size"},
               [&] { identify_task(model, {}); });
}

TEST(Refuse, SeveralInputs) {
  ModelInfo model = model_of({{-1, 84, 8400}});
  model.inputs.push_back(model.inputs[0]);
  expect_error(ErrorCode::kTaskUnknown, {"2 inputs"}, [&] { identify_task(model, {}); });
}

}  // namespace
}  // namespace peregrine::vision
