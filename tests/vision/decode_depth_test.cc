// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "testing/expect_error.h"
#include "vision/output_decoder.h"

namespace peregrine::vision {
namespace {

using peregrine::testing::expect_error;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TaskSpec depth_spec() {
  TaskSpec spec;
  spec.task = Task::kDepth;
  spec.head = Head::kDepth;
  spec.input.fit = InputSpec::Fit::kStretch;
  return spec;
}

DepthMap decode(const std::vector<TensorView>& outputs, int item = 0,
                const TaskSpec& spec = depth_spec()) {
  FrameResult result;
  result.depth.values = {1, 2, 3};  // of the frame before
  make_output_decoder(spec, {})->decode(outputs, item, place(1920, 1080, spec.input), result);
  EXPECT_TRUE(result.detections.empty());
  return result.depth;
}

TEST(DecodeDepth, TheMapOfTheRightPictureAtItsOwnResolution) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> value(-2, 9);
  for (const Shape& shape : {Shape{2, 37, 52}, Shape{2, 1, 37, 52}}) {
    Tensor tensor = Tensor::zeros(DType::kFloat32, shape);
    for (float& each : tensor.as<float>()) each = value(random);
    const DepthMap map = decode({tensor.view()}, 1);
    EXPECT_EQ(map.width, 52);
    EXPECT_EQ(map.height, 37);
    const auto all = tensor.as<float>();
    const std::vector<float> second(all.begin() + 37 * 52, all.end());
    EXPECT_EQ(map.values, second);
    EXPECT_EQ(map.min, *std::min_element(second.begin(), second.end()));
    EXPECT_EQ(map.max, *std::max_element(second.begin(), second.end()));
    for (std::size_t i = 0; i < second.size(); ++i) {
      const double wanted =
          (static_cast<double>(second[i]) - map.min) / (static_cast<double>(map.max) - map.min);
      EXPECT_NEAR(map.normalized(i), wanted, 1e-6);
    }
  }
}

TEST(DecodeDepth, ValuesThatAreNotNumbersHaveNoPartInTheRange) {
  Tensor tensor = Tensor::zeros(DType::kFloat32, {1, 2, 3});
  const std::vector<float> values = {kNan, 4, std::numeric_limits<float>::infinity(), 8, 5, kNan};
  std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  DepthMap map = decode({tensor.view()});
  EXPECT_EQ(map.min, 4);
  EXPECT_EQ(map.max, 8);
  EXPECT_EQ(map.median(), 5);
  EXPECT_EQ(map.normalized(0), 0);
  EXPECT_EQ(map.normalized(2), 0);
  EXPECT_EQ(map.normalized(3), 1);

  std::fill(tensor.as<float>().begin(), tensor.as<float>().end(), kNan);
  map = decode({tensor.view()});
  EXPECT_EQ(map.min, 0);
  EXPECT_EQ(map.max, 0);
  EXPECT_EQ(map.median(), 0);
}

TEST(DepthMap, FlatAndExtremeMaps) {
  DepthMap map{.width = 4, .height = 1, .values = {7, 7, 7, 7}, .min = 7, .max = 7};
  EXPECT_EQ(map.normalized(2), 0);
  EXPECT_EQ(map.median(), 7);
  constexpr float kMost = std::numeric_limits<float>::max();
  map = {.width = 3, .height = 1, .values = {-kMost, 0, kMost}, .min = -kMost, .max = kMost};
  EXPECT_FLOAT_EQ(map.normalized(1), 0.5f);  // the range itself is no float
  map.values = {4, 1, 3, 2};
  EXPECT_EQ(map.median(), 2);  // the lower of two in the middle
}

TEST(DecodeDepth, OtherShapesAndFitsAreRefused) {
  Tensor channels = Tensor::zeros(DType::kFloat32, {1, 3, 8, 8});
  Tensor row = Tensor::zeros(DType::kFloat32, {1, 64});
  Tensor empty = Tensor::zeros(DType::kFloat32, {1, 0, 8});
  for (Tensor* tensor : {&channels, &empty}) {
    expect_error(ErrorCode::kInvalidShape,
                 {to_string(tensor->view().shape), "[batch, height, width]"},
                 [&] { decode({tensor->view()}); });
  }
  expect_error(ErrorCode::kInvalidShape, {"[1, 64]", "3 dimensions"},
               [&] { decode({row.view()}); });
  TaskSpec letterboxed = depth_spec();
  letterboxed.input.fit = InputSpec::Fit::kLetterbox;
  expect_error(ErrorCode::kInvalidArgument, {"stretched", "kStretch"},
               [&] { make_output_decoder(letterboxed, {}); });
}

}  // namespace
}  // namespace peregrine::vision
