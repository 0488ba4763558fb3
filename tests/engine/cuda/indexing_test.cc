// SPDX-License-Identifier: Apache-2.0
// Ops that move, index, sample, order and quantize: each case is lowered and computed on the host
// by the kernels' own code, as it stands, with interleaved pictures, and with half-precision
// activations, against the reference interpreter.
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "compiler/passes.h"
#include "engine/cuda/indexing_cases.h"
#include "engine/cuda/ops/sort.h"
#include "engine/cuda/plan_builder.h"
#include "engine/cuda/run_on_host.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"
#include "testing/expect_error.h"

namespace peregrine {
namespace {

using cuda::Precision;
using testing::attributes;
using testing::IndexingCase;
using testing::ModelBuilder;
using testing::Surroundings;
using I = std::int64_t;

model::Graph inferred(const ModelBuilder& model) {
  model::Graph graph = model.graph();
  model::infer(graph, {.batch = 0});
  compiler::to_float32(graph);
  return graph;
}

std::vector<compiler::Step> steps_of(const ModelBuilder& model) {
  const model::Graph graph = inferred(model);
  return cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat32).programs.front().steps;
}

class Indexing : public ::testing::TestWithParam<IndexingCase> {};

TEST_P(Indexing, AgreesWithTheReference) {
  for (const Surroundings each :
       {Surroundings::kNone, Surroundings::kTransposes, Surroundings::kConvolutions}) {
    if (!testing::fits(GetParam(), each)) continue;
    SCOPED_TRACE("surroundings " + std::to_string(static_cast<int>(each)));
    const ModelBuilder model = testing::build_case(GetParam(), each);
    const std::vector<Tensor> inputs = testing::case_inputs(GetParam(), each);
    const bool halves = each == Surroundings::kConvolutions;
    testing::expect_same(
        testing::run_on_host(inferred(model), halves ? Precision::kFloat16 : Precision::kFloat32,
                             inputs, true),
        model::run_graph(model.graph(), inputs), halves ? 4e-3 : 2e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Indexing, ::testing::ValuesIn(testing::indexing_cases()),
                         [](const auto& each) {
                           return testing::case_name(each.param, each.index);
                         });

// What is only strides in disguise must not become more than copies.
TEST(IndexingLowering, CopiesWhereStridesSayIt) {
  const std::set<std::string> copy{"copy"};
  const auto kernels_of = [](const char* op, std::vector<std::string> inputs,
                             const model::Attributes& how) {
    ModelBuilder model(20);
    model.input("x", {1, 8, 6, 6});
    model.ints("two", {2, 4});
    model.ints("tiles", {1, 1, 2, 2});
    model.ints("crop", {0, 0, -1, -1, 0, 0, -1, -1});
    model.floats("twice", {4}, std::vector<float>{1, 1, 2, 2});
    model.node(op, inputs, {"y"}, how);
    model.output("y");
    std::set<std::string> kernels;
    for (const compiler::Step& step : steps_of(model)) kernels.insert(step.kernel);
    return kernels;
  };
  EXPECT_EQ(kernels_of("Resize", {"x", "", "twice"},
                       attributes({{"mode", std::string("nearest")},
                                   {"coordinate_transformation_mode", std::string("asymmetric")},
                                   {"nearest_mode", std::string("floor")}})),
            copy);
  EXPECT_EQ(kernels_of("Gather", {"x", "two"}, attributes({{"axis", I{1}}})), copy);
  EXPECT_EQ(kernels_of("Tile", {"x", "tiles"}, {}), copy);
  EXPECT_EQ(kernels_of("Pad", {"x", "crop"}, {}), copy);
  EXPECT_EQ(kernels_of("DepthToSpace", {"x"}, attributes({{"blocksize", I{2}}})), copy);
}

TEST(IndexingLowering, SearchesOnlyAmongUpdatesThatMayMeet) {
  const auto group = [](bool known, model::Ints rows, const char* reduction) {
    ModelBuilder model(20);
    const auto count = static_cast<I>(rows.size());
    model.input("x", {9, 4}).input("updates", {count, 4});
    const Tensor indices = Tensor::of<I>(rows, {count, 1});
    known ? model.constant("indices", indices) : model.input("indices", {count, 1}, DType::kInt64);
    model.node("ScatterND", {"x", "indices", "updates"}, {"y"},
               attributes({{"reduction", std::string(reduction)}}));
    model.output("y");
    return steps_of(model).back().attributes.get_int("group", -1);
  };
  EXPECT_EQ(group(true, {3, 1, -1}, "add"), 0);
  EXPECT_EQ(group(true, {3, 1, 3}, "add"), 3);
  EXPECT_EQ(group(true, {3, 1, 3}, "none"), 0);
  EXPECT_EQ(group(false, {3, 1, 3}, "none"), 3);
}

TEST(IndexingLowering, SaysWhatItCannotDo) {
  const auto expect_refusal = [](const std::vector<std::string>& parts, ModelBuilder& model) {
    model.output("y");
    testing::expect_error(ErrorCode::kModelUnsupported, parts, [&] { steps_of(model); });
  };
  ModelBuilder scatter(20);
  scatter.input("x", {70000}).input("i", {70000, 1}, DType::kInt64).input("u", {70000});
  scatter.node("ScatterND", {"x", "i", "u"}, {"y"});
  expect_refusal({"/ScatterND_y", "70000 indices that are only known when it runs"}, scatter);
  ModelBuilder gather(20);
  gather.input("x", {5}).ints("i", {1, 7, 0});
  gather.node("Gather", {"x", "i"}, {"y"});
  expect_refusal({"/Gather_y", "its index 7 is outside an axis of 5"}, gather);
  ModelBuilder pad(20);
  pad.input("x", {5}).ints("pads", {1, 1}).input("value", {1});
  pad.node("Pad", {"x", "pads", "value"}, {"y"});
  expect_refusal({"/Pad_y", "its fill value must be known when the plan is built"}, pad);
}

TEST(IndexingLowering, RefusesWhat32BitsDoNotCount) {
  ModelBuilder tile(20);
  tile.input("x", {1, 65536}).ints("r", {65536, 1});
  tile.node("Tile", {"x", "r"}, {"y"}).output("y");
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"/Tile_y", "[65536, 1, 1, 65536] spans 2^31 elements or more"},
                        [&] { steps_of(tile); });
  ModelBuilder pad(20);
  pad.input("x", {65536, 32767}).ints("p", {0, 1, 0, 1});
  pad.node("Pad", {"x", "p"}, {"y"}).output("y");
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"/Pad_y", "[65536, 32769] spans 2^31 elements or more"},
                        [&] { steps_of(pad); });
}

TEST(TopKPlan, SelectsBeforeItSortsLongRows) {
  const auto plan = [](int length, int k) {
    cuda::TopKParams p;
    p.length = length;
    p.k = k;
    cuda::plan_top_k(p);
    return std::pair(p.selects, p.sorted);
  };
  EXPECT_EQ(plan(80, 1), std::pair(false, 128));
  EXPECT_EQ(plan(8400, 300), std::pair(true, 512));
  EXPECT_EQ(plan(300000, 900), std::pair(true, 1024));
  EXPECT_EQ(plan(8400, 8400), std::pair(false, 16384));
}

TEST(TopKKeys, OrderAsTheValuesDo) {
  using cuda::top_k::ascending_key;
  const float values[] = {-INFINITY, -3, -1e-40F, 0, 1e-40F, 2, INFINITY};
  for (std::size_t i = 1; i < std::size(values); ++i) {
    EXPECT_LT(ascending_key(values[i - 1]), ascending_key(values[i]));
  }
  EXPECT_EQ(ascending_key(-0.0F), ascending_key(0.0F));
  EXPECT_LT(ascending_key(std::int32_t{-5}), ascending_key(std::int32_t{4}));
}

}  // namespace
}  // namespace peregrine
