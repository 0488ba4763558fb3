// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>
#include <random>

#include <gtest/gtest.h>

#include "testing/expect_error.h"
#include "vision/decode_segment.h"
#include "vision/nms.h"
#include "vision/output_decoder.h"

namespace peregrine::vision {
namespace {

using peregrine::testing::expect_error;

/// A raw output that is written as the model would lay it out: channels or anchors outermost.
class RawOutput {
 public:
  RawOutput(int batch, int anchors, int channels, bool channels_first)
      : anchors_(anchors),
        channels_(channels),
        channels_first_(channels_first),
        tensor_(Tensor::zeros(DType::kFloat32, channels_first ? Shape{batch, channels, anchors}
                                                              : Shape{batch, anchors, channels})) {}
  float& at(int item, int anchor, int channel) {
    const int place = channels_first_ ? channel * anchors_ + anchor : anchor * channels_ + channel;
    return tensor_.as<float>()[static_cast<std::size_t>(item * anchors_ * channels_ + place)];
  }
  void set(int item, int anchor, int channel, std::initializer_list<float> values) {
    for (const float value : values) at(item, anchor, channel++) = value;
  }
  TensorView view() { return tensor_.view(); }
  int anchors() const { return anchors_; }

 private:
  int anchors_, channels_;
  bool channels_first_;
  Tensor tensor_;
};

TaskSpec spec_of(Task task, Head head, int classes) {
  TaskSpec spec;
  spec.task = task;
  spec.head = head;
  spec.class_count = classes;
  return spec;
}

// 1280x720 in 640x640: scale 0.5, 140 rows of grey above.
Letterbox wide() { return place(1280, 720, InputSpec{}); }

FrameResult decode(const TaskSpec& spec, std::vector<TensorView> outputs, int item = 0,
                   const DecodeOptions& options = {}) {
  FrameResult result;
  make_output_decoder(spec, options)->decode(outputs, item, wide(), result);
  return result;
}

void expect_box(const Box& got, const Box& wanted, float tolerance = 1e-3f) {
  EXPECT_NEAR(got.x1, wanted.x1, tolerance);
  EXPECT_NEAR(got.y1, wanted.y1, tolerance);
  EXPECT_NEAR(got.x2, wanted.x2, tolerance);
  EXPECT_NEAR(got.y2, wanted.y2, tolerance);
}

TEST(DecodeYoloV8, BoxesScoresAndClassesOfTheRightPicture) {
  RawOutput raw(2, 8400, 84, true);
  raw.set(1, 3, 0, {100, 240, 40, 60});
  raw.at(1, 3, 4 + 7) = 0.6f;
  raw.at(1, 3, 4 + 9) = 0.5f;
  raw.set(1, 8399, 0, {300, 300, 20, 20});
  raw.at(1, 8399, 4 + 79) = 0.9f;
  raw.set(1, 100, 0, {101, 241, 40, 60});  // suppressed: like the first, less sure
  raw.at(1, 100, 4 + 7) = 0.55f;
  raw.set(1, 200, 0, {101, 241, 40, 60});  // another class stays
  raw.at(1, 200, 4 + 8) = 0.25f + 1e-6f;
  raw.set(1, 300, 0, {500, 240, 40, 60});  // at the threshold, not above
  raw.at(1, 300, 4) = 0.25f;
  raw.set(1, 400, 0, {500, 60, 40, 60});  // in the padding above the picture
  raw.at(1, 400, 4) = 0.95f;
  const TaskSpec spec = spec_of(Task::kDetect, Head::kYoloV8, 80);
  EXPECT_TRUE(decode(spec, {raw.view()}, 0).detections.empty());
  const Detections got = decode(spec, {raw.view()}, 1).detections;
  EXPECT_EQ(got.classes, (std::vector<int>{79, 7, 8}));
  EXPECT_FLOAT_EQ(got.scores[0], 0.9f);
  EXPECT_FLOAT_EQ(got.scores[1], 0.6f);
  expect_box(got.boxes[0], {580, 300, 620, 340});
  expect_box(got.boxes[1], {160, 140, 240, 260});
}

TEST(DecodeYoloV8, OptionsLimitAndChooseClasses) {
  RawOutput raw(1, 2100, 7, true);
  for (int i = 0; i < 40; ++i) {
    raw.set(0, i * 50, 0, {static_cast<float>(i * 15 + 10), 300, 10, 10});
    raw.at(0, i * 50, 4 + i % 3) = 0.3f + 0.01f * static_cast<float>(i);
  }
  const TaskSpec spec = spec_of(Task::kDetect, Head::kYoloV8, 3);
  DecodeOptions options;
  options.max_detections = 5;
  EXPECT_EQ(decode(spec, {raw.view()}, 0, options).detections.size(), 5u);
  options = {};
  options.classes = {1};
  options.confidence = 0.5f;
  const Detections got = decode(spec, {raw.view()}, 0, options).detections;
  EXPECT_EQ(got.classes, std::vector<int>(6, 1));
  options.classes = {3};
  expect_error(ErrorCode::kInvalidArgument, {"class 3", "0 to 2"},
               [&] { make_output_decoder(spec, options); });
}

// Every score passes, so the whole-block path finds the classes; ties take the lowest.
TEST(DecodeYoloV8, DenseScoresAgreeWithPlainLoops) {
  std::mt19937 random(5);
  for (const float confidence : {0.05f, 0.9f, 0.985f}) {
    RawOutput raw(1, 1001, 4 + 20, true);
    std::vector<Box> boxes;
    std::vector<float> scores;
    std::vector<int> classes;
    for (int a = 0; a < raw.anchors(); ++a) {
      const auto x = static_cast<float>(random() % 600),
                 y = static_cast<float>(150 + random() % 300);
      raw.set(0, a, 0, {x, y, 50, 50});
      int best = 0;
      for (int c = 0; c < 20; ++c) {
        raw.at(0, a, 4 + c) = static_cast<float>(random() % 100) / 100;
        if (raw.at(0, a, 4 + c) > raw.at(0, a, 4 + best)) best = c;
      }
      if (!(raw.at(0, a, 4 + best) > confidence)) continue;
      boxes.push_back({x - 25, y - 25, x + 25, y + 25});
      scores.push_back(raw.at(0, a, 4 + best));
      classes.push_back(best);
    }
    DecodeOptions options;
    options.confidence = confidence;
    const Detections got =
        decode(spec_of(Task::kDetect, Head::kYoloV8, 20), {raw.view()}, 0, options).detections;
    Suppressor suppressor;
    const auto kept = suppressor.suppress(boxes, scores, classes, options.iou, 300);
    ASSERT_EQ(got.size(), kept.size());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto k = static_cast<std::size_t>(kept[i]);
      EXPECT_EQ(got.classes[i], classes[k]);
      EXPECT_EQ(got.scores[i], scores[k]);
      expect_box(got.boxes[i], wide().to_source(boxes[k]));
    }
  }
}

TEST(DecodeYoloV8, ScoresThatAreNotNumbersAreNoObjects) {
  RawOutput raw(1, 300, 5, true);
  raw.at(0, 7, 4) = std::nanf("");
  raw.set(0, 8, 0, {std::nanf(""), 300, 10, 10, 0.9f});
  EXPECT_TRUE(decode(spec_of(Task::kDetect, Head::kYoloV8, 1), {raw.view()}).detections.empty());
}

TEST(DecodeYoloV5, ObjectnessTimesClass) {
  RawOutput raw(1, 25200, 85, false);
  raw.set(0, 25199, 0, {100, 240, 40, 60, 0.8f});
  raw.at(0, 25199, 5 + 2) = 0.9f;
  raw.at(0, 25199, 5 + 3) = 0.7f;
  raw.set(0, 10, 0, {300, 240, 40, 60, 0.4f});  // objectness passes, the product does not
  raw.at(0, 10, 5) = 0.5f;
  raw.set(0, 20, 0, {300, 240, 40, 60, 0.2f});
  raw.at(0, 20, 5) = 1.0f;
  const Detections got = decode(spec_of(Task::kDetect, Head::kYoloV5, 80), {raw.view()}).detections;
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got.classes[0], 2);
  EXPECT_FLOAT_EQ(got.scores[0], 0.72f);
  expect_box(got.boxes[0], {160, 140, 240, 260});
}

TEST(DecodeYoloV10, RowsAreTakenAsTheyAre) {
  RawOutput raw(1, 300, 6, false);
  raw.set(0, 0, 0, {80, 210, 120, 270, 0.5f, 4});
  raw.set(0, 1, 0, {80, 210, 120, 270, 0.9f, 4});   // equal boxes stay: suppression was the graph's
  raw.set(0, 2, 0, {80, 210, 120, 270, 0.7f, 80});  // no such class: padding
  raw.set(0, 3, 0, {80, 210, 120, 270, 0.2f, 1});
  const Detections got =
      decode(spec_of(Task::kDetect, Head::kYoloV10, 80), {raw.view()}).detections;
  ASSERT_EQ(got.size(), 2u);
  EXPECT_FLOAT_EQ(got.scores[0], 0.9f);
  expect_box(got.boxes[0], {160, 140, 240, 260});
  EXPECT_EQ(got.classes, (std::vector<int>{4, 4}));
}

TEST(DecodePose, KeypointsInSourcePixels) {
  TaskSpec spec = spec_of(Task::kPose, Head::kYoloV8, 2);
  spec.keypoint_count = 2;
  RawOutput raw(1, 100, 4 + 2 + 6, true);
  raw.set(0, 50, 0, {100, 240, 40, 60, 0.1f, 0.8f, 90, 220, 0.7f, 900, 100, 0.2f});
  Detections got = decode(spec, {raw.view()}).detections;
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got.keypoints_per_object, 2);
  ASSERT_EQ(got.keypoints_of(0).size(), 2u);
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[0].x, 180);
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[0].y, 160);
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[0].score, 0.7f);
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[1].x, 1280);  // clipped
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[1].y, 0);

  spec.keypoint_values = 2;
  spec.head = Head::kYoloV10;
  RawOutput rows(1, 300, 6 + 4, false);
  rows.set(0, 0, 0, {80, 210, 120, 270, 0.8f, 1, 90, 220, 100, 230});
  got = decode(spec, {rows.view()}).detections;
  ASSERT_EQ(got.size(), 1u);
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[1].x, 200);
  EXPECT_FLOAT_EQ(got.keypoints_of(0)[1].score, 1);
}

TEST(DecodeObb, AngleCentreAndEnclosingBox) {
  constexpr float kPi = std::numbers::pi_v<float>;
  const TaskSpec spec = spec_of(Task::kObb, Head::kYoloV8, 1);
  RawOutput raw(1, 100, 6, true);
  raw.set(0, 1, 0, {200, 320, 100, 20, 0.9f, kPi / 6});
  raw.set(0, 2, 0, {201, 320, 100, 20, 0.8f, kPi / 6});      // suppressed
  raw.set(0, 3, 0, {200, 320, 100, 20, 0.7f, kPi * 2 / 3});  // crosses it: stays
  const Detections got = decode(spec, {raw.view()}).detections;
  ASSERT_EQ(got.size(), 2u);
  EXPECT_NEAR(got.oriented[0].cx, 400, 1e-3);
  EXPECT_NEAR(got.oriented[0].cy, 360, 1e-3);
  EXPECT_NEAR(got.oriented[0].width, 200, 1e-3);
  EXPECT_NEAR(got.oriented[0].height, 40, 1e-3);
  EXPECT_NEAR(got.oriented[0].angle, kPi / 6, 1e-5);
  EXPECT_NEAR(got.oriented[1].angle, kPi * 2 / 3, 1e-5);
  const float half_width = 100 * std::cos(kPi / 6) + 20 * std::sin(kPi / 6);
  const float half_height = 100 * std::sin(kPi / 6) + 20 * std::cos(kPi / 6);
  expect_box(got.boxes[0],
             {400 - half_width, 360 - half_height, 400 + half_width, 360 + half_height}, 0.01f);

  RawOutput rows(1, 300, 7, false);
  rows.set(0, 0, 0, {200, 320, 100, 20, 0.9f, 0, -kPi / 2});  // out of range: turned by pi
  const Detections turned =
      decode(spec_of(Task::kObb, Head::kYoloV10, 1), {rows.view()}).detections;
  ASSERT_EQ(turned.size(), 1u);
  EXPECT_NEAR(turned.oriented[0].angle, kPi / 2, 1e-5);
}

// Masks pixel by pixel in double, straight from the definition.
std::vector<bool> mask_reference(const std::vector<float>& prototypes, int count, int cells_y,
                                 int cells_x, const std::vector<float>& coefficients,
                                 const Box& box, const Letterbox& letterbox,
                                 const InputSpec& input) {
  const auto logit = [&](int r, int c) {
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      sum += static_cast<double>(coefficients[static_cast<std::size_t>(k)]) *
             prototypes[static_cast<std::size_t>((k * cells_y + r) * cells_x + c)];
    }
    return sum;
  };
  std::vector<bool> mask;
  for (int x = 0; x < letterbox.source_width; ++x) {
    for (int y = 0; y < letterbox.source_height; ++y) {
      const double px = x + 0.5, py = y + 0.5;
      const double u =
          std::clamp((px * letterbox.scale_x + letterbox.pad_x) * cells_x / input.width - 0.5, 0.0,
                     cells_x - 1.0);
      const double v =
          std::clamp((py * letterbox.scale_y + letterbox.pad_y) * cells_y / input.height - 0.5, 0.0,
                     cells_y - 1.0);
      const int c0 = static_cast<int>(u), r0 = static_cast<int>(v);
      const int c1 = std::min(c0 + 1, cells_x - 1), r1 = std::min(r0 + 1, cells_y - 1);
      const double above = logit(r0, c0) * (c0 + 1 - u) + logit(r0, c1) * (u - c0);
      const double below = logit(r1, c0) * (c0 + 1 - u) + logit(r1, c1) * (u - c0);
      const bool inside = px >= box.x1 && px < box.x2 && py >= box.y1 && py < box.y2;
      mask.push_back(inside && above * (r0 + 1 - v) + below * (v - r0) > 0);
    }
  }
  return mask;
}

std::vector<bool> expand(const Mask& mask) {
  std::vector<bool> pixels;
  bool value = false;
  for (const std::uint32_t run : mask.counts) {
    pixels.insert(pixels.end(), run, value);
    value = !value;
  }
  return pixels;
}

TEST(DecodeSegment, MasksAgreeWithTheirDefinition) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  InputSpec input;
  input.width = 64;
  input.height = 48;
  MaskDecoder decoder;
  for (const auto& [cells_y, cells_x] : {std::pair{12, 16}, {1, 1}, {2, 1}, {24, 32}}) {
    for (const auto& [width, height] : {std::pair{61, 47}, {200, 90}, {30, 100}, {1, 1}}) {
      const int count = 4;
      std::vector<float> prototypes(static_cast<std::size_t>(count * cells_y * cells_x));
      for (float& value : prototypes) value = normal(random);
      std::vector<float> coefficients(count);
      for (float& value : coefficients) value = normal(random);
      const Letterbox letterbox = place(width, height, input);
      const auto w = static_cast<float>(width), h = static_cast<float>(height);
      for (const Box& box : {Box{0, 0, w, h}, Box{w * 0.2f, h * 0.3f, w * 0.7f, h * 0.81f},
                             Box{w * 0.5f, h * 0.5f, w * 0.5f, h * 0.5f}, Box{w - 1, 0, w, h}}) {
        const Mask mask = decoder.decode({prototypes.data(), count, cells_y, cells_x}, coefficients,
                                         box, letterbox, input);
        EXPECT_EQ(mask.width, width);
        EXPECT_EQ(mask.height, height);
        const std::vector<bool> got = expand(mask);
        const std::vector<bool> wanted = mask_reference(prototypes, count, cells_y, cells_x,
                                                        coefficients, box, letterbox, input);
        ASSERT_EQ(got.size(), wanted.size());
        int different = 0;
        for (std::size_t i = 0; i < got.size(); ++i) different += got[i] != wanted[i];
        EXPECT_LE(different, static_cast<int>(got.size() / 2000));  // logits of nearly 0
        for (std::size_t i = 1; i < mask.counts.size(); ++i) EXPECT_GT(mask.counts[i], 0u);
      }
    }
  }
}

TEST(DecodeSegment, MasksGoWithTheirBoxesInEachLayout) {
  for (const Head head : {Head::kYoloV5, Head::kYoloV8, Head::kYoloV10}) {
    TaskSpec spec = spec_of(Task::kSegment, head, 1);
    spec.mask_coefficients = 2;
    spec.prototypes_output = 1;
    const bool channels_first = head == Head::kYoloV8;
    RawOutput raw(2, 300, head == Head::kYoloV8 ? 7 : 8, channels_first);
    const int first = head == Head::kYoloV8 ? 5 : 6;
    if (head == Head::kYoloV10) {
      raw.set(1, 5, 0, {80, 210, 120, 270, 0.9f, 0});
    } else {
      raw.set(1, 5, 0, {100, 240, 40, 60, 0.9f});
      if (head == Head::kYoloV5) raw.at(1, 5, 5) = 1;
    }
    raw.set(1, 5, first, {1, -1});
    // Prototype 0 is 1 everywhere, prototype 1 is 2 in the left half of the box and 0 right of it.
    Tensor prototypes = Tensor::zeros(DType::kFloat32, {2, 2, 160, 160});
    for (std::size_t i = 0; i < 160 * 160; ++i) {
      prototypes.as<float>()[2 * 160 * 160 + i] = 1;
      prototypes.as<float>()[3 * 160 * 160 + i] = i % 160 < 25 ? 2 : 0;
    }
    FrameResult got = decode(spec, {raw.view(), prototypes.view()}, 1);
    ASSERT_EQ(got.detections.size(), 1u);
    ASSERT_EQ(got.detections.masks.size(), 1u);
    const Mask& mask = got.detections.masks[0];
    EXPECT_EQ(mask.width, 1280);
    EXPECT_EQ(mask.height, 720);
    // Box 160..240 x 140..260; its right half (from input column 100) is set.
    ASSERT_EQ(mask.counts.size(), 2u * 40 + 1);
    EXPECT_EQ(mask.counts[0], 200u * 720 + 140);
    EXPECT_EQ(mask.counts[1], 120u);
    EXPECT_EQ(mask.counts[2], 600u);
    DecodeOptions options;
    options.masks = false;
    EXPECT_TRUE(decode(spec, {raw.view(), prototypes.view()}, 1, options).detections.masks.empty());
    Tensor wrong = Tensor::zeros(DType::kFloat32, {2, 3, 4, 4});
    expect_error(ErrorCode::kInvalidShape, {"[2, 3, 4, 4]", "2 coefficients"}, [&] {
      decode(spec, {raw.view(), wrong.view()}, 1);
    });
  }
}

TEST(DecodeClassify, TopFiveOfLogitsAndProbabilities) {
  TaskSpec spec = spec_of(Task::kClassify, Head::kClassify, 7);
  Tensor logits =
      Tensor::of<float>(std::vector<float>{0, 0, 0, 0, 0, 0, 0, 1, 3, -2, 3, 0, 2, -5}, {2, 7});
  const FrameResult got = decode(spec, {logits.view()}, 1);
  ASSERT_EQ(got.classes.size(), 5u);
  const double sum = std::exp(1) + 2 * std::exp(3) + std::exp(-2) + 1 + std::exp(2) + std::exp(-5);
  const int ids[] = {1, 3, 5, 0, 4};
  const double exponents[] = {3, 3, 2, 1, 0};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(got.classes[i].class_id, ids[i]);
    EXPECT_NEAR(got.classes[i].score, std::exp(exponents[i]) / sum, 1e-6);
  }
  spec.class_count = 3;
  Tensor probabilities = Tensor::of<float>(std::vector<float>{0.2f, 0.7f, 0.1f}, {1, 3, 1, 1});
  const FrameResult as_they_are = decode(spec, {probabilities.view()});
  ASSERT_EQ(as_they_are.classes.size(), 3u);
  EXPECT_EQ(as_they_are.classes[0].class_id, 1);
  EXPECT_FLOAT_EQ(as_they_are.classes[0].score, 0.7f);
  expect_error(ErrorCode::kInvalidShape, {"7 scores for 3 classes", "--labels"},
               [&] { decode(spec, {logits.view()}); });
}

TEST(DecodeEmbed, UnitLength) {
  const TaskSpec spec = spec_of(Task::kEmbed, Head::kEmbed, 0);
  Tensor rows = Tensor::of<float>(std::vector<float>{0, 0, 0, 3, 0, -4}, {2, 3});
  EXPECT_EQ(decode(spec, {rows.view()}, 1).embedding, (std::vector<float>{0.6f, 0, -0.8f}));
  EXPECT_EQ(decode(spec, {rows.view()}, 0).embedding, (std::vector<float>{0, 0, 0}));
}

TEST(DecodeChecks, OutputsThatDoNotFit) {
  const TaskSpec spec = spec_of(Task::kDetect, Head::kYoloV8, 80);
  RawOutput raw(1, 8400, 85, true);
  expect_error(ErrorCode::kInvalidShape, {"[1, 85, 8400]", "85 channels", "--task", "--labels"},
               [&] { decode(spec, {raw.view()}); });
  expect_error(ErrorCode::kInvalidShape, {"output 0 is wanted", "has 0"},
               [&] { decode(spec, {}); });
  RawOutput fine(1, 8400, 84, true);
  expect_error(ErrorCode::kInvalidShape, {"picture 1"}, [&] { decode(spec, {fine.view()}, 1); });
  Tensor wrong = Tensor::zeros(DType::kInt32, {1, 84, 8400});
  expect_error(ErrorCode::kInvalidShape, {"int32"}, [&] { decode(spec, {wrong.view()}); });
  TensorView strided = fine.view();
  strided.strides[1] = 1;
  expect_error(ErrorCode::kInvalidShape, {"not packed"}, [&] { decode(spec, {strided}); });
  Tensor flat = Tensor::zeros(DType::kFloat32, {1, 84});
  expect_error(ErrorCode::kInvalidShape, {"3 dimensions"}, [&] { decode(spec, {flat.view()}); });
}

}  // namespace
}  // namespace peregrine::vision
