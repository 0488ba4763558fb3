// SPDX-License-Identifier: Apache-2.0
// Pointwise chains on the host: the kernel's own formulas and index arithmetic against the
// reference interpreter, and which nodes become one step.
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

#include "engine/cuda/host_checks.h"
#include "engine/cuda/kernels/pointwise.h"
#include "engine/cuda/plan_builder.h"
#include "engine/cuda/pointwise_chain.h"
#include "model/convert.h"
#include "model/model_builder.h"
#include "model/onnx_tensor.h"
#include "model/op_cases.h"
#include "model/shape_inference.h"
#include "testing/expect_error.h"

namespace peregrine {
namespace {

using testing::attributes;
using testing::expect_node;
using testing::expect_right;
using testing::indexed;
using testing::list;
using testing::ModelBuilder;
using testing::noise;
using testing::one_node;
using testing::steps_of;
using testing::tensors;
using I = std::int64_t;

Tensor bools(std::vector<int> values) {
  Tensor tensor(DType::kBool, {I(values.size())});
  for (std::size_t i = 0; i < values.size(); ++i) tensor.as<bool>()[i] = values[i] != 0;
  return tensor;
}
class PointwiseCases : public ::testing::TestWithParam<testing::OpCase> {};

TEST_P(PointwiseCases, AgreeWithTheReference) {
  const auto& row = GetParam();
  expect_right(testing::build_case(row), testing::case_inputs(row), row.tolerance);
}

std::vector<testing::OpCase> pointwise_cases() {
  std::vector<testing::OpCase> cases;
  for (const testing::OpCase& row : testing::op_cases()) {
    const model::Graph graph = testing::build_case(row).graph();
    if (cuda::is_pointwise(*graph.nodes().front())) cases.push_back(row);
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, PointwiseCases, ::testing::ValuesIn(pointwise_cases()),
                         [](const auto& each) { return indexed(each.param.op, each.index); });

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Pointwise, FloatsAtTheEdges) {
  const Tensor x = list<float>({-kInf, -1.5F, -0.5F, -0.0F, 0.5F, 1.5F, 2.5F, kInf, kNan});
  for (const char* op : {"Relu", "Sign", "Abs", "Neg", "Round", "Floor", "Ceil", "IsNaN", "IsInf",
                         "Softsign", "Sqrt", "Exp"}) {
    expect_node(op, tensors(x));
  }
  expect_node("IsInf", tensors(x), attributes({{"detect_negative", I{0}}}));
  expect_node("IsInf", tensors(x), attributes({{"detect_positive", I{0}}}));
  const Tensor y = list<float>({1, kNan, -3, 0, 0.3F, -1, 2.5F, 7, 1});
  for (const char* op : {"Max", "Min", "Greater", "LessOrEqual", "Equal", "Add", "Div"}) {
    expect_node(op, tensors(x, y));
  }
}

TEST(Pointwise, Integers) {
  constexpr I kMin = std::numeric_limits<I>::min();
  const Tensor a = list<I>({7, -7, 7, -7, 0, kMin, 5, kMin, 1});
  const Tensor b = list<I>({3, 3, -3, -3, 5, -1, 0, 1, 40});
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Less", "GreaterOrEqual",
                         "Equal", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}) {
    expect_node(op, tensors(a, b));
  }
  expect_node("Mod", tensors(a, b), attributes({{"fmod", I{1}}}));
  for (const char* op : {"Abs", "Neg", "Sign", "Relu", "BitwiseNot"}) {
    expect_node(op, tensors(a));
  }
  const Tensor base = list<I>({2, -3, 7, 0}), power = list<I>({10, 3, 2, 0});
  expect_node("Pow", tensors(base, power));
  const Tensor real_power = list<float>({3, 3, 0.5F, 2});
  expect_node("Pow", tensors(base, real_power));
  const Tensor bits = list<std::uint8_t>({1, 255, 16, 7}), by = list<std::uint8_t>({3, 1, 9, 0});
  for (const char* direction : {"LEFT", "RIGHT"}) {
    expect_node("BitShift", tensors(bits, by), attributes({{"direction", std::string(direction)}}));
  }
}

TEST(Pointwise, CastsBetweenAllTypes) {
  const Tensor reals = list<float>({-1.9F, -0.4F, 0, 0.6F, 1.5F, 100.7F, 255, 3e9F});
  for (const DType from : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kInt32,
                           DType::kUint8, DType::kBool}) {
    const Tensor x = model::convert(reals, from);
    for (const DType to : {DType::kFloat32, DType::kInt64, DType::kInt32, DType::kInt8,
                           DType::kUint8, DType::kBool}) {
      SCOPED_TRACE(std::string(to_string(from)).append(" to ").append(to_string(to)));
      expect_node("Cast", tensors(x), attributes({{"to", I{model::onnx_of_dtype(to)}}}));
    }
  }
}

TEST(Pointwise, WhereAndLogicBroadcast) {
  const Tensor yes = bools({1, 0, 1, 1, 0}), no = bools({0, 0, 1, 0, 1});
  for (const char* op : {"And", "Or", "Xor", "Equal"}) {
    expect_node(op, tensors(yes, no));
  }
  expect_node("Not", tensors(yes));
  const Tensor x = noise({3, 5}, 1), y = noise({3, 1}, 2);
  expect_node("Where", tensors(yes, x, y));
  const Tensor m = list<I>({I{1} << 62, 2, 3, 4, 5}), n = list<I>({-1, -2, -3, -4, -5});
  expect_node("Where", tensors(yes, m, n));
}

// What a YOLO head or a positional encoding has: one launch, whatever its length.
TEST(PointwiseChain, RunsInOneStepWithAllNames) {
  ModelBuilder model(20);
  model.input("a", {2, 8, 5, 4}).input("b", {8, 1, 1}).floats("two", {}, std::vector<float>{2});
  model.node("Sigmoid", {"a"}, {"s"}).node("Mul", {"s", "two"}, {"m"});
  model.node("Sub", {"b", "m"}, {"d"}).node("Mul", {"d", "a"}, {"y"}).output("y");
  const auto steps = steps_of(model);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].kernel, "pointwise");
  EXPECT_EQ(steps[0].inputs.size(), 2U);  // a once, though it is read twice
  EXPECT_EQ(steps[0].origins.size(), 4U);
  EXPECT_EQ(steps[0].attributes.get_strings("chain"),
            (std::vector<std::string>{"Load", "Sigmoid", "Mul", "Sub", "Mul"}));
  expect_right(model, tensors(noise({2, 8, 5, 4}, 1), noise({8, 1, 1}, 2)));
}

TEST(PointwiseChain, TakesTheResultOfAComparisonAlong) {
  ModelBuilder model(20);
  model.input("a", {3, 7}).input("b", {7}).floats("zero", {}, std::vector<float>{0});
  model.node("Greater", {"a", "b"}, {"c"}).node("Not", {"c"}, {"n"});
  model.node("Where", {"n", "a", "zero"}, {"y"}).output("y");
  EXPECT_EQ(steps_of(model).size(), 1U);
  expect_right(model, tensors(noise({3, 7}, 1), noise({7}, 2)));
}

TEST(PointwiseChain, KeepsFloatsAndIntegersApart) {
  ModelBuilder model(20);
  model.input("a", {16}, DType::kInt64).input("b", {16});
  model.constant("two", Tensor::of<I>(std::vector<I>{2}, {}));
  model.node("Div", {"a", "two"}, {"d"});
  model.node("Cast", {"d"}, {"f"}, attributes({{"to", I{1}}}));
  model.node("Mul", {"f", "b"}, {"y"}).output("y");
  const auto steps = steps_of(model);
  ASSERT_EQ(steps.size(), 2U);  // 7 / 2 is 3, then 3.0
  EXPECT_EQ(steps[0].attributes.get_int("integers", -1), 1);
  EXPECT_EQ(steps[1].attributes.get_int("integers", -1), 0);
  Tensor a(DType::kInt64, {16});
  for (I i = 0; i < 16; ++i) a.as<I>()[std::size_t(i)] = i - 7;
  std::vector<Tensor> inputs;
  inputs.push_back(std::move(a));
  inputs.push_back(noise({16}, 3));
  expect_right(model, inputs);
}

TEST(PointwiseChain, TruncatesWhereItPassesAnInteger) {
  ModelBuilder model(20);
  model.input("a", {9}).node("Cast", {"a"}, {"i"}, attributes({{"to", I{7}}}));
  model.node("Cast", {"i"}, {"y"}, attributes({{"to", I{1}}})).output("y");
  EXPECT_EQ(steps_of(model).size(), 1U);
  expect_right(model, tensors(noise({9}, 1, 5)));
}

TEST(PointwiseChain, EndsWhereAValueIsReadTwiceOrShapesDiffer) {
  ModelBuilder twice(20);
  twice.input("a", {4}).node("Exp", {"a"}, {"e"}).node("Mul", {"e", "e"}, {"y"}).output("y");
  EXPECT_EQ(steps_of(twice).size(), 2U);
  ModelBuilder output(20);
  output.input("a", {4}).node("Exp", {"a"}, {"e"}).node("Neg", {"e"}, {"y"});
  output.output("y").output("e");
  EXPECT_EQ(steps_of(output).size(), 2U);
  ModelBuilder small(20);
  small.input("a", {4}).input("b", {3, 4}).node("Exp", {"a"}, {"e"});
  small.node("Mul", {"e", "b"}, {"y"}).output("y");
  EXPECT_EQ(steps_of(small).size(), 2U);  // not three times the exponentials
}

TEST(PointwiseChain, IsCutWhereALaunchHoldsNoMore) {
  ModelBuilder model(20);
  model.input("x0", {6});
  std::string last = "x0";
  std::vector<Tensor> inputs;
  inputs.push_back(noise({6}, 0));
  for (int k = 1; k <= 20; ++k) {
    const std::string x = indexed("x", std::size_t(k)), y = indexed("y", std::size_t(k));
    model.input(x, {6}).node("Add", {last, x}, {y});
    last = y;
    inputs.push_back(noise({6}, unsigned(k)));
  }
  model.output(last);
  EXPECT_EQ(steps_of(model).size(), 3U);  // 8 tensors each
  expect_right(model, inputs);
}

TEST(PointwiseChain, HoldsABatchNorm) {
  ModelBuilder model(20);
  model.input("x", {2, 8, 3, 5}).weights("s", {8}, 1).weights("b", {8}, 2).weights("m", {8}, 3);
  model.floats("v", {8}, std::vector<float>{1, 2, 3, 4, 0.5F, 0.1F, 7, 1});
  model.node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"n"});
  model.node("Relu", {"n"}, {"y"}).output("y");
  EXPECT_EQ(steps_of(model).size(), 1U);
  expect_right(model, tensors(noise({2, 8, 3, 5}, 9)));
}

TEST(PointwiseChain, RefusesWhatHasNoFormForItsType) {
  std::vector<Tensor> nine;
  for (unsigned k = 0; k < 9; ++k) nine.push_back(noise({3}, k));
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"(Sum): it has 9 inputs; one launch takes at most 8"},
                        [&] { steps_of(one_node("Sum", nine)); });
  const std::vector<Tensor> integers = tensors(list<std::int32_t>({1, 2}));
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"(Reciprocal): Reciprocal has no form for int32"},
                        [&] { steps_of(one_node("Reciprocal", integers)); });
}

TEST(PointwisePlan, WritesTheModelsOwnDtypeAtOnce) {
  for (const DType dtype : {DType::kFloat64, DType::kBFloat16}) {
    const std::vector<Tensor> inputs = tensors(model::convert(noise({5}, 1), dtype));
    EXPECT_EQ(steps_of(one_node("Neg", inputs)).size(), 1U) << to_string(dtype);
    expect_node("Neg", inputs);
  }
}

TEST(PointwisePlan, EmptyInputsKeepTheirShape) {
  model::Graph graph = one_node("Neg", tensors(Tensor(DType::kFloat32, {0, 5}))).graph();
  model::infer(graph, {.batch = 0});
  const compiler::Plan plan = cuda::lower_to_plan(std::span(&graph, 1), cuda::Precision::kFloat32);
  EXPECT_EQ(plan.inputs[0].shape, (Shape{0, 5}));  // no batch that may be another
}

TEST(PointwisePlan, NhwcPicturesAreOneDimensionOfGroups) {
  const Shape nhwc{8 * 9 * 7, 1, 8 * 7, 8};
  const Shape bias{0, 1, 0, 0};
  auto p = cuda::make_pointwise(Shape{2, 8, 9, 7}, nhwc, std::vector<Shape>{nhwc});
  EXPECT_EQ(p.rank, 1);
  p = cuda::make_pointwise(Shape{2, 8, 9, 7}, nhwc, std::vector<Shape>{nhwc, bias});
  EXPECT_EQ(p.rank, 2);
  EXPECT_EQ(p.extents[0].divisor, 8U);
  p.output.dtype = p.inputs[0].dtype = DType::kFloat16;
  EXPECT_EQ(cuda::pointwise_width(p), 8);
  p.inputs[0].data = reinterpret_cast<void*>(8);  // fit for four halves, not for eight
  EXPECT_EQ(cuda::pointwise_width(p), 4);
  p.inputs[0].data = reinterpret_cast<void*>(2);
  EXPECT_EQ(cuda::pointwise_width(p), 1);
}

TEST(PointwisePlan, PlanarToInterleavedHasNoGroups) {
  auto p = cuda::make_pointwise(Shape{8, 6}, Shape{1, 8}, std::vector<Shape>{Shape{6, 1}});
  EXPECT_EQ(cuda::pointwise_width(p), 1);
  EXPECT_EQ(p.output.strides[0], 1);  // writes side by side, whatever the reads do
}

}  // namespace

namespace testing {
void PrintTo(const OpCase& row, std::ostream* out) { *out << row.op << ' ' << row.name; }
}  // namespace testing
}  // namespace peregrine
