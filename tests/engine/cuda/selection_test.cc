// SPDX-License-Identifier: Apache-2.0
// NonZero, NonMaxSuppression and what gathers by them: plans on the host, and on the GPU where
// there is one, against the reference interpreter.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "core/cuda/device_info.h"
#include "engine/cuda/compiled.h"
#include "engine/cuda/run_on_gpu.h"
#include "engine/cuda/run_on_host.h"
#include "model/reference/interpreter.h"
#include "model/selection_models.h"

namespace peregrine {
namespace {

using cuda::Precision;
using model::Ints;
using testing::attributes;
using testing::ModelBuilder;
using I = std::int64_t;

void expect_equal(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.dtype(), expected.dtype());
  ASSERT_EQ(actual.shape(), expected.shape());
  if (actual.dtype() == DType::kInt64) {
    const auto a = actual.as<I>(), e = expected.as<I>();
    EXPECT_TRUE(std::equal(a.begin(), a.end(), e.begin()));
    return;
  }
  const auto a = actual.as<float>(), e = expected.as<float>();
  for (std::size_t i = 0; i < e.size(); ++i) ASSERT_NEAR(a[i], e[i], 1e-6) << i;
}

void expect_right(const ModelBuilder& model, const Tensor& x) {
  for (const bool passes : {false, true}) {
    const model::Graph graph = testing::compiled(model.graph(), passes);
    const std::vector<Tensor> expected = model::run_graph(graph, std::span(&x, 1));
    for (const Precision precision : {Precision::kFloat32, Precision::kFloat16}) {
      const auto inputs = std::span(&x, 1);
      const auto on_host = testing::run_on_host(graph, precision, inputs, true);
      for (std::size_t k = 0; k < expected.size(); ++k) expect_equal(on_host[k], expected[k]);
      if (cuda::device_count() == 0) continue;
      SCOPED_TRACE("on the GPU");
      const auto on_gpu = testing::run_on_gpu(graph, precision, inputs);
      for (std::size_t k = 0; k < expected.size(); ++k) expect_equal(on_gpu[k], expected[k]);
    }
  }
}

TEST(Selection, DetectorsWithSuppressionAgreeWithTheReference) {
  for (const unsigned seed : {1U, 2U}) {
    expect_right(testing::padded_detector(), testing::crowded_boxes(40, seed));
    expect_right(testing::listed_detector(), testing::crowded_boxes(40, seed));
  }
  expect_right(testing::padded_detector(), Tensor::zeros(DType::kFloat32, {1, 6, 40}));
}

// As many as a detector has: chunks, sorting in and beyond shared memory, limits, ties, both forms
// of boxes.
TEST(Selection, SuppressesMany) {
  for (const bool centred : {false, true}) {
    for (const I most : {7, 100'000}) {
      for (const I count : {700, 5000}) {
        SCOPED_TRACE(std::to_string(count) + " boxes, at most " + std::to_string(most));
        ModelBuilder model;
        const float iou = 0.6F;
        model.input("x", {1, 6, count}).ints("parts", {4, 2}).ints("most", {most});
        model.floats("iou", {1}, {&iou, 1});
        model.node("Split", {"x", "parts"}, {"planes", "scores"}, attributes({{"axis", I{1}}}));
        model.node("Transpose", {"planes"}, {"boxes"}, attributes({{"perm", Ints{0, 2, 1}}}));
        model.node("NonMaxSuppression", {"boxes", "scores", "most", "iou"}, {"y"},
                   attributes({{"center_point_box", I{centred}}}));
        model.output("y");
        Tensor x = testing::crowded_boxes(count, 9);
        // Ties: scores in steps of a hundredth.
        for (auto& value : x.as<float>().subspan(static_cast<std::size_t>(4 * count))) {
          value = std::round(value * 100) / 100;
        }
        expect_right(model, x);
      }
    }
  }
}

TEST(Selection, FindsWhatIsNotZeroInOrder) {
  for (const Shape& shape : {Shape{5000}, Shape{3, 70, 33}, Shape{1, 1}}) {
    SCOPED_TRACE(to_string(shape));
    ModelBuilder model;
    model.input("x", shape).node("Round", {"x"}, {"r"}).node("NonZero", {"r"}, {"y"}).output("y");
    model.node("Transpose", {"r"}, {"t"}).node("NonZero", {"t"}, {"z"}).output("z");
    expect_right(model, testing::noise(shape, 3));
  }
}

}  // namespace
}  // namespace peregrine
