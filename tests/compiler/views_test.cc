// SPDX-License-Identifier: Apache-2.0
#include "compiler/views.h"

#include <gtest/gtest.h>

#include "model/model_builder.h"
#include "model/shape_inference.h"

namespace peregrine::compiler {
namespace {

using testing::attributes;
using testing::ModelBuilder;

const model::Attributes kChannelAxis = attributes({{"axis", std::int64_t{1}}});

model::Graph inferred(const ModelBuilder& model) {
  model::Graph graph = model.graph();
  model::infer(graph, {.batch = 2});
  return graph;
}

void expect_view(const ViewPlan& plan, const model::Graph& graph, const char* value,
                 const char* base, std::int64_t offset) {
  const auto view = plan.views.find(graph.find_value(value));
  ASSERT_NE(view, plan.views.end()) << value;
  EXPECT_EQ(view->second.base->name, base) << value;
  EXPECT_EQ(view->second.offset, offset) << value;
}

// YOLO's C2f: the split halves and what is computed from them are joined again. Nothing moves.
TEST(Views, TheSplitLivesInTheConcat) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).ints("parts", {4, 4}).output("y");
  model.weights("w", {8, 3, 1, 1}, 1)
      .node("Conv", {"x", "w"}, {"c"})
      .node("Split", {"c", "parts"}, {"a", "b"}, kChannelAxis);
  model.weights("w2", {4, 4, 1, 1}, 2).node("Conv", {"b", "w2"}, {"d"});
  model.node("Concat", {"a", "b", "d"}, {"j"}, kChannelAxis).node("Relu", {"j"}, {"y"});
  const model::Graph graph = inferred(model);
  const ViewPlan plan = plan_views(graph);
  expect_view(plan, graph, "c", "j", 0);
  expect_view(plan, graph, "a", "j", 0);
  expect_view(plan, graph, "b", "j", 4);
  expect_view(plan, graph, "d", "j", 8);
}

TEST(Views, ConcatInConcatHasOneOwner) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).output("y");
  model.node("Relu", {"x"}, {"a"}).node("Abs", {"x"}, {"b"}).node("Neg", {"x"}, {"c"});
  model.node("Concat", {"a", "b"}, {"inner"}, kChannelAxis)
      .node("Concat", {"c", "inner"}, {"outer"}, kChannelAxis);
  model.node("Relu", {"outer"}, {"y"});
  const model::Graph graph = inferred(model);
  const ViewPlan plan = plan_views(graph);
  expect_view(plan, graph, "b", "outer", 6);
  expect_view(plan, graph, "inner", "outer", 3);
  EXPECT_EQ(plan.owner(graph.find_value("b"))->name, "outer");
}

TEST(Views, WhatIsNotOursStaysInPlace) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).output("y");
  model.node("Relu", {"x"}, {"a"});
  model.node("Concat", {"x", "a", "a"}, {"j"}, kChannelAxis);  // an input; a value twice
  model.node("Concat", {"j", "j"}, {"k"}, attributes({{"axis", std::int64_t{2}}}));  // along rows
  model.node("Relu", {"k"}, {"r"}).node("Concat", {"r", "r"}, {"y"}, kChannelAxis);  // the caller's
  const ViewPlan plan = plan_views(inferred(model));
  EXPECT_TRUE(plan.views.empty());
}

TEST(Views, SlicesOfChannelsAreViews) {
  ModelBuilder model;
  model.input("x", {-1, 8, 4, 4})
      .ints("from", {2})
      .ints("to", {6})
      .ints("axis", {1})
      .ints("rows", {2})
      .output("y");
  model.node("Relu", {"x"}, {"a"}).node("Slice", {"a", "from", "to", "axis"}, {"s"});
  model.ints("end", {4})
      .node("Slice", {"s", "from", "end", "rows"}, {"t"})
      .node("Relu", {"t"}, {"y"});
  const model::Graph graph = inferred(model);
  const ViewPlan plan = plan_views(graph);
  expect_view(plan, graph, "s", "a", 2);
  EXPECT_FALSE(plan.views.contains(graph.find_value("t"))) << "rows are not innermost";
}

TEST(Views, NearestUpsamplingIsAnIndexMapForReadersThatCan) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).floats("scales", {4}, std::vector<float>{1, 1, 2, 2}).output("y");
  model.node("Relu", {"x"}, {"a"});
  model.node("Resize", {"a", "", "scales"}, {"u"},
             attributes({{"coordinate_transformation_mode", std::string("asymmetric")},
                         {"nearest_mode", std::string("floor")}}));
  model.weights("w", {4, 3, 3, 3}, 1).node("Conv", {"u", "w"}, {"y"});
  const model::Graph graph = inferred(model);
  EXPECT_TRUE(plan_views(graph).upsampled.empty());
  const ViewPlan plan = plan_views(graph, {model::Op::kConv});
  const IndexMap& map = plan.upsampled.at(graph.find_value("u"));
  EXPECT_EQ(map.source->name, "a");
  EXPECT_EQ(map.height, 2);
  EXPECT_EQ(plan.owner(graph.find_value("u"))->name, "a");
}

}  // namespace
}  // namespace peregrine::compiler
