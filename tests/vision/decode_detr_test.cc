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

constexpr int kBatch = 3, kQueries = 50, kClasses = 7;
constexpr int kSourceWidth = 1280, kSourceHeight = 720;

TaskSpec spec_of(Head head) {
  TaskSpec spec;
  spec.head = head;
  spec.class_count = kClasses;
  spec.scores_output = head == Head::kRtDetr ? -1 : 0;
  spec.boxes_output = head == Head::kRtDetr ? 0 : 1;
  spec.input.width = 800;
  spec.input.height = 640;
  spec.input.fit = InputSpec::Fit::kStretch;
  return spec;
}

int columns_of(Head head) { return head == Head::kDetr ? kClasses + 1 : kClasses; }

/// Raw outputs of each head: numbers [batch, queries, columns] and boxes [batch, queries, 4].
struct Raw {
  explicit Raw(Head head_)
      : head(head_),
        scores(Tensor::zeros(DType::kFloat32, {kBatch, kQueries, columns_of(head_)})),
        boxes(Tensor::zeros(DType::kFloat32, {kBatch, kQueries, 4})) {}
  float& score(int item, int query, int column) {
    return scores.as<float>()[static_cast<std::size_t>(
        (item * kQueries + query) * columns_of(head) + column)];
  }
  float& box(int item, int query, int side) {
    return boxes.as<float>()[static_cast<std::size_t>((item * kQueries + query) * 4 + side)];
  }
  /// As the engine would give them.
  std::vector<TensorView> views() {
    if (head != Head::kRtDetr) return {scores.view(), boxes.view()};
    rows = Tensor::zeros(DType::kFloat32, {kBatch, kQueries, 4 + kClasses});
    float* to = rows.as<float>().data();
    for (int i = 0; i < kBatch * kQueries; ++i) {
      for (int side = 0; side < 4; ++side) *to++ = box(0, i, side);
      for (int c = 0; c < kClasses; ++c) *to++ = score(0, i, c);
    }
    return {rows.view()};
  }
  Head head;
  Tensor scores, boxes, rows;
};

Raw random_outputs(Head head, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> unit(0, 1), logit(-6, 3);
  Raw raw(head);
  for (float& value : raw.scores.as<float>()) {
    value = head == Head::kRtDetr ? unit(random) * 0.6f : logit(random);
  }
  // Centres lie in the picture, sides reach beyond it.
  for (float& value : raw.boxes.as<float>()) value = 0.01f + 0.98f * unit(random);
  return raw;
}

struct Found {
  int query, class_id;
  double score;
};

// The families' own post-processing, in double: best class of a softmax without "no object", every
// class of a sigmoid, best class of what is a probability already.
std::vector<Found> reference(Raw& raw, int item, double confidence) {
  std::vector<Found> all;
  for (int query = 0; query < kQueries; ++query) {
    std::vector<double> scores;
    double sum = 0;
    for (int c = 0; c < columns_of(raw.head); ++c) {
      const double value = raw.score(item, query, c);
      sum += std::exp(value);
      scores.push_back(raw.head == Head::kDetr          ? std::exp(value)
                       : raw.head == Head::kDetrSigmoid ? 1 / (1 + std::exp(-value))
                                                        : value);
    }
    if (raw.head == Head::kDetr) {
      for (double& score : scores) score /= sum;
      scores.pop_back();
    }
    const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
    for (int c = 0; c < kClasses; ++c) {
      const double score = scores[static_cast<std::size_t>(c)];
      if ((raw.head == Head::kDetrSigmoid || c == best) && score > confidence) {
        all.push_back({query, c, score});
      }
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Found& a, const Found& b) { return a.score > b.score; });
  return all;
}

Detections decode(const TaskSpec& spec, const std::vector<TensorView>& outputs, int item,
                  const DecodeOptions& options = {}) {
  FrameResult result;
  make_output_decoder(spec, options)
      ->decode(outputs, item, place(kSourceWidth, kSourceHeight, spec.input), result);
  return result.detections;
}

class DetrHeads : public ::testing::TestWithParam<Head> {};
INSTANTIATE_TEST_SUITE_P(All, DetrHeads,
                         ::testing::Values(Head::kDetr, Head::kDetrSigmoid, Head::kRtDetr));

TEST_P(DetrHeads, RandomOutputsAgreeWithTheReference) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Raw raw = random_outputs(GetParam(), seed);
    const auto outputs = raw.views();
    for (int item = 0; item < kBatch; ++item) {
      const std::vector<Found> wanted = reference(raw, item, 0.25);
      const Detections got = decode(spec_of(GetParam()), outputs, item);
      ASSERT_GT(wanted.size(), 5u);
      ASSERT_EQ(got.size(), wanted.size());
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Found& one = wanted[i];
        EXPECT_NEAR(got.scores[i], one.score, 1e-6);
        EXPECT_EQ(got.classes[i], one.class_id);
        // Stretched: a share of the input is the same share of the source.
        const auto side = [&](double centre, double size, int whole) {
          return std::clamp((centre + size) * whole, 0.0, static_cast<double>(whole));
        };
        const double cx = raw.box(item, one.query, 0), cy = raw.box(item, one.query, 1);
        const double w = raw.box(item, one.query, 2) / 2, h = raw.box(item, one.query, 3) / 2;
        EXPECT_NEAR(got.boxes[i].x1, side(cx, -w, kSourceWidth), 2e-3);
        EXPECT_NEAR(got.boxes[i].y1, side(cy, -h, kSourceHeight), 2e-3);
        EXPECT_NEAR(got.boxes[i].x2, side(cx, w, kSourceWidth), 2e-3);
        EXPECT_NEAR(got.boxes[i].y2, side(cy, h, kSourceHeight), 2e-3);
      }
    }
  }
}

TEST_P(DetrHeads, LimitAndClassesAndNothing) {
  Raw raw = random_outputs(GetParam(), 99);
  const auto outputs = raw.views();
  DecodeOptions options;
  options.max_detections = 3;
  const Detections best = decode(spec_of(GetParam()), outputs, 1, options);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_NEAR(best.scores[2], reference(raw, 1, 0.25)[2].score, 1e-6);
  options = {};
  options.classes = {2};
  for (const int class_id : decode(spec_of(GetParam()), outputs, 1, options).classes) {
    EXPECT_EQ(class_id, 2);
  }
  options.classes = {kClasses};  // "no object" cannot be asked for
  expect_error(ErrorCode::kInvalidArgument, {"class 7", "0 to 6"},
               [&] { make_output_decoder(spec_of(GetParam()), options); });
  options = {};
  options.confidence = 1;
  EXPECT_TRUE(decode(spec_of(GetParam()), outputs, 1, options).empty());
}

TEST_P(DetrHeads, ScoresThatAreNotNumbersAreNoObjects) {
  Raw raw(GetParam());
  for (float& value : raw.scores.as<float>()) value = std::numeric_limits<float>::quiet_NaN();
  for (float& value : raw.boxes.as<float>()) value = 0.5f;
  EXPECT_TRUE(decode(spec_of(GetParam()), raw.views(), 0).empty());
}

TEST(DecodeDetr, HugeLogitsDoNotOverflow) {
  Raw raw(Head::kDetr);
  raw.score(0, 4, 2) = 500;
  for (int side = 0; side < 4; ++side) raw.box(0, 4, side) = 0.5f;
  const Detections got = decode(spec_of(Head::kDetr), raw.views(), 0);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_FLOAT_EQ(got.scores[0], 1);
  EXPECT_EQ(got.classes[0], 2);
}

TEST(DecodeDetr, NothingIsSuppressed) {
  Raw raw(Head::kDetr);
  for (const int query : {3, 8}) {
    raw.score(0, query, 1) = 9;
    for (int side = 0; side < 4; ++side) raw.box(0, query, side) = 0.5f;
  }
  EXPECT_EQ(decode(spec_of(Head::kDetr), raw.views(), 0).size(), 2u);
}

TEST(DecodeDetr, OtherShapesAreRefused) {
  Tensor logits = Tensor::zeros(DType::kFloat32, {1, kQueries, kClasses + 1});
  Tensor boxes = Tensor::zeros(DType::kFloat32, {1, kQueries, 4});
  Tensor fewer = Tensor::zeros(DType::kFloat32, {1, kQueries - 1, 4});
  Tensor wide = Tensor::zeros(DType::kFloat32, {1, kQueries, 5});
  const auto refuse = [](Head head, const std::vector<TensorView>& outputs,
                         std::vector<std::string> parts, int item = 0) {
    expect_error(ErrorCode::kInvalidShape, parts, [&] { decode(spec_of(head), outputs, item); });
  };
  refuse(Head::kDetr, {logits.view(), fewer.view()}, {"[1, 49, 4]", "[batch, queries, 4]"});
  refuse(Head::kDetr, {logits.view(), wide.view()}, {"[1, 50, 5]"});
  refuse(Head::kDetrSigmoid, {logits.view(), boxes.view()},
         {"[1, 50, 8]", "[batch, queries, 7]", "--labels"});
  refuse(Head::kDetr, {logits.view()}, {"output 1", "has 1"});
  refuse(Head::kDetr, {logits.view(), boxes.view()}, {"picture 1"}, 1);
  refuse(Head::kRtDetr, {logits.view()}, {"[1, 50, 8]", "4 + 7 classes", "--labels"});
}

}  // namespace
}  // namespace peregrine::vision
