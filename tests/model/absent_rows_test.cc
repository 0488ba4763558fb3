// SPDX-License-Identifier: Apache-2.0
// Lengths that depend on contents, fixed to the most they can be: answers stay, filled up with
// absent rows, and whatever would count those is refused.
#include "model/absent_rows.h"

#include <gtest/gtest.h>

#include "model/reference/interpreter.h"
#include "model/selection_models.h"
#include "model/shape_inference.h"
#include "testing/expect_error.h"

namespace peregrine {
namespace {

using model::Ints;
using testing::attributes;
using testing::ModelBuilder;
using I = std::int64_t;

Tensor answer(const model::Graph& graph, const Tensor& input) {
  return std::move(model::run_graph(graph, std::span(&input, 1)).front());
}

model::Graph bounded(const ModelBuilder& model) {
  model::Graph graph = model.graph();
  model::infer(graph, {.batch = 0, .bound_lengths = true});
  return graph;
}

TEST(AbsentRows, ADetectorThatFillsUpItsRowsGivesTheSame) {
  const ModelBuilder model = testing::padded_detector();
  const model::Graph graph = bounded(model);
  EXPECT_EQ(graph.outputs()[0]->shape, (Shape{1, 10, 6}));
  for (const unsigned seed : {1U, 2U, 3U}) {
    const Tensor x = testing::crowded_boxes(40, seed);
    const Tensor expected = answer(model.graph(), x), actual = answer(graph, x);
    ASSERT_EQ(actual.shape(), expected.shape());
    EXPECT_GT(expected.as<float>()[4], 0.3F) << "something is found";
    for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(actual.as<float>()[i], expected.as<float>()[i]);
  }
  // Nothing to find: NonZero and everything behind it is empty.
  const Tensor nothing = Tensor::zeros(DType::kFloat32, {1, 6, 40});
  const Tensor rows = answer(graph, nothing);
  for (const float value : rows.as<float>()) EXPECT_EQ(value, 0);
}

TEST(AbsentRows, AListOfDetectionsEndsInRowsOfNoImage) {
  const ModelBuilder model = testing::listed_detector();
  const model::Graph graph = bounded(model);
  EXPECT_EQ(graph.outputs()[0]->shape, (Shape{80, 7}));
  const Tensor x = testing::crowded_boxes(40, 4);
  const Tensor expected = answer(model.graph(), x), actual = answer(graph, x);
  const auto real = static_cast<std::size_t>(expected.size());
  ASSERT_GT(real, 7U);
  ASSERT_LT(real, 80U * 7);
  for (std::size_t i = 0; i < 80 * 7; ++i) {
    const float absent = i % 7 == 0 || i % 7 == 5 ? -1.0F : 0.0F;  // no image, no class
    EXPECT_EQ(actual.as<float>()[i], i < real ? expected.as<float>()[i] : absent) << i;
  }
}

// Each node that would take absent rows for real ones, behind NonZero of x [1, 8]: "n" [2, 8] and
// "picked" [8], what it found there.
struct Refused {
  const char* why;
  void (*add)(ModelBuilder& model);
};

const Refused kRefused[] = {
    {"sums over rows", [](ModelBuilder& m) { m.node("ReduceSum", {"picked"}, {"y"}); }},
    {"computes with the number of rows",
     [](ModelBuilder& m) {
       m.node("Shape", {"picked"}, {"s"}).node("Cast", {"s"}, {"c"}, attributes({{"to", I{1}}}));
       m.node("Mul", {"x", "c"}, {"y"});
     }},
    {"rows behind absent ones",
     [](ModelBuilder& m) {
       m.node("Concat", {"picked", "picked"}, {"y"}, attributes({{"axis", I{0}}}));
     }},
    {"two different selections",
     [](ModelBuilder& m) {
       m.node("Sign", {"x"}, {"s"}).node("NonZero", {"s"}, {"n2"});
       m.node("Transpose", {"n2"}, {"t2"}).node("GatherND", {"x", "t2"}, {"other"});
       m.node("Add", {"picked", "other"}, {"y"});
     }},
    {"indices are computed",
     [](ModelBuilder& m) {
       m.node("Add", {"t", "one"}, {"u"}).node("GatherND", {"x", "u"}, {"y"});
     }},
    {"leaves out the first rows",
     [](ModelBuilder& m) {
       m.ints("two", {2}).ints("nine", {9}).node("Slice", {"picked", "two", "nine"}, {"y"});
     }},
    {"picks rows that may be absent",
     [](ModelBuilder& m) {
       m.ints("two", {2}).node("Gather", {"picked", "two"}, {"y"});
     }},
    {"no way to leave out",
     [](ModelBuilder& m) {
       m.ints("three", {3}).node("TopK", {"picked", "three"}, {"y", "i"});
     }},
    {"that are not zero",
     [](ModelBuilder& m) {
       m.node("Sigmoid", {"picked"}, {"s"}).ints("pads", {0, 3}).node("Pad", {"s", "pads"}, {"y"});
     }},
    {"cuts rows up",
     [](ModelBuilder& m) {
       m.ints("shape", {2, 4}).node("Reshape", {"picked", "shape"}, {"y"});
     }},
};

TEST(AbsentRows, NodesThatWouldCountThemAreRefusedByName) {
  for (const Refused& each : kRefused) {
    SCOPED_TRACE(each.why);
    ModelBuilder model;
    model.input("x", {1, 8}).ints("one", {1}).node("NonZero", {"x"}, {"n"});
    model.node("Transpose", {"n"}, {"t"}).node("GatherND", {"x", "t"}, {"picked"});
    each.add(model);
    model.output("y");
    testing::expect_error(ErrorCode::kModelUnsupported, {each.why, "node '"},
                          [&] { bounded(model); });
  }
}

TEST(AbsentRows, TheNumberOfRowsIsNoOutput) {
  ModelBuilder model;
  model.input("x", {1, 8}).node("NonZero", {"x"}, {"n"}).node("Shape", {"n"}, {"y"}).output("y");
  testing::expect_error(ErrorCode::kModelUnsupported, {"output 'y'", "how many rows"},
                        [&] { bounded(model); });
}

TEST(AbsentRows, WithoutBoundsSuchLengthsAreRefused) {
  model::Graph graph = testing::listed_detector().graph();
  testing::expect_error(ErrorCode::kModelUnsupported, {"NonMaxSuppression", "depends on"},
                        [&] { model::infer(graph, {.batch = 0}); });
}

}  // namespace
}  // namespace peregrine
