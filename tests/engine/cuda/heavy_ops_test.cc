// SPDX-License-Identifier: Apache-2.0
// Convolutions, products, pools and attention from node to step: which kernel, how weights are
// packed, where operands lie. Steps run on the host, and on the GPU where there is one, against the
// reference interpreter.
#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "compiler/passes.h"
#include "core/cuda/device_info.h"
#include "engine/cuda/compiled.h"
#include "engine/cuda/conv_tactics.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/epilogue.h"
#include "engine/cuda/run_on_gpu.h"
#include "engine/cuda/run_on_host.h"
#include "model/attention.h"
#include "model/convert.h"
#include "model/model_builder.h"
#include "model/op_cases.h"
#include "model/reference/interpreter.h"
#include "testing/expect_error.h"

namespace peregrine {
namespace {

using cuda::Precision;
using model::Ints;
using testing::attributes;
using testing::ModelBuilder;
using testing::noise;
using I = std::int64_t;
using Names = std::vector<std::string>;

model::Graph inferred(const ModelBuilder& model, bool passes) {
  return testing::compiled(model.graph(), passes);
}

std::vector<compiler::Step> steps_of(const ModelBuilder& model, Precision precision,
                                     bool passes = true) {
  const model::Graph graph = inferred(model, passes);
  return cuda::lower_to_plan(std::span(&graph, 1), precision).programs.front().steps;
}

Names kernels_of(const ModelBuilder& model, Precision precision = Precision::kFloat16) {
  Names names;
  for (const compiler::Step& step : steps_of(model, precision)) names.push_back(step.kernel);
  return names;
}

void expect_near(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) {
    ASSERT_EQ(actual[k].shape(), expected[k].shape());
    if (expected[k].dtype() == DType::kInt64) {
      const auto a = actual[k].as<I>(), e = expected[k].as<I>();
      EXPECT_TRUE(std::equal(e.begin(), e.end(), a.begin())) << "output " << k;
      continue;
    }
    const auto a = actual[k].as<float>(), e = expected[k].as<float>();
    float largest = 1e-3F;
    for (const float value : e)
      largest = std::isfinite(value) ? std::max(largest, std::abs(value)) : largest;
    for (std::size_t i = 0; i < e.size(); ++i) {
      if (std::isnan(e[i]) && std::isnan(a[i])) continue;
      ASSERT_NEAR(a[i], e[i], tolerance * largest) << "output " << k << " element " << i;
    }
  }
}

template <typename... Each>
std::vector<Tensor> list(Each&&... each) {
  std::vector<Tensor> tensors;
  (tensors.push_back(std::move(each)), ...);
  return tensors;
}

// Steps against the reference, with and without passes, in both precisions.
void expect_right(const ModelBuilder& model, const std::vector<Tensor>& inputs,
                  double half_tolerance = 4e-3) {
  const std::vector<Tensor> expected = model::run_graph(model.graph(), inputs);
  for (const bool passes : {false, true}) {
    const model::Graph graph = inferred(model, passes);
    for (const Precision precision : {Precision::kFloat32, Precision::kFloat16}) {
      const bool half = precision == Precision::kFloat16;
      SCOPED_TRACE(std::string(passes ? "with" : "without") + " passes, " +
                   (half ? "FP16" : "FP32"));
      const double tolerance = half ? half_tolerance : 2e-5;
      expect_near(testing::run_on_host(graph, precision, inputs, true), expected, tolerance);
      if (cuda::device_count() == 0) continue;
      SCOPED_TRACE("on the GPU");
      expect_near(testing::run_on_gpu(graph, precision, inputs), expected, tolerance);
    }
  }
}

TEST(HeavyOps, OfTheCaseTableAgreeWithTheReference) {
  const std::set<std::string> ops{"Conv",         "ConvTranspose",     "Gemm",         "MatMul",
                                  "Einsum",       "MaxPool",           "AveragePool",  "LpPool",
                                  "GlobalLpPool", "GlobalAveragePool", "GlobalMaxPool"};
  int seen = 0;
  for (const testing::OpCase& row : testing::op_cases()) {
    if (!ops.contains(row.op)) continue;
    SCOPED_TRACE(std::string(row.op) + " " + row.name);
    expect_right(testing::build_case(row), testing::case_inputs(row));
    ++seen;
  }
  EXPECT_GT(seen, 40);
}

// x [2, channels, 10, 9] -> Conv; the caller's picture.
ModelBuilder conv_model(const Shape& weights, const model::Attributes& of_conv, I channels) {
  ModelBuilder model(20);
  model.input("x", {2, channels, 10, 9}).weights("w", weights, 1, 0.2F);
  model.weights("b", {weights[0]}, 2).node("Conv", {"x", "w", "b"}, {"y"}, of_conv).output("y");
  return model;
}
// The same with a convolution in front, so that the tested one reads FP16, and one behind.
ModelBuilder inner_conv_model(const Shape& weights, const model::Attributes& of_conv, I channels) {
  ModelBuilder model(20);
  model.input("x", {2, 8, 10, 9}).weights("first", {channels, 8, 1, 1}, 3, 0.2F);
  model.node("Conv", {"x", "first"}, {"a"}).weights("w", weights, 1, 0.2F);
  model.node("Conv", {"a", "w"}, {"c"}, of_conv).weights("last", {8, weights[0], 1, 1}, 4, 0.2F);
  model.node("Conv", {"c", "last"}, {"y"}).output("y");
  return model;
}
model::Attributes window(Ints strides, Ints pads, I group = 1) {
  return attributes({{"strides", strides}, {"pads", pads}, {"group", group}});
}

// What leaves the network in float32 is not off by rounded weights: only its inputs are halves.
TEST(ConvLowering, LastLayersHaveWeightsOfTwoHalves) {
  ModelBuilder model(20);
  std::vector<float> identity(64 * 64, 0.0F);
  for (std::size_t i = 0; i < 64; ++i) identity[i * 65] = 1;
  model.input("x", {2, 64, 5, 7}).floats("one", {64, 64, 1, 1}, identity);
  model.weights("w", {24, 64, 1, 1}, 3, 0.1F).weights("b", {24}, 4);
  model.node("Conv", {"x", "one"}, {"a"}).node("Conv", {"a", "w", "b"}, {"y"}).output("y");
  const Tensor x =
      model::convert(model::convert(noise({2, 64, 5, 7}, 5), DType::kFloat16), DType::kFloat32);
  const auto inputs = [&] { return list(model::convert(x, DType::kFloat32)); };
  const auto steps = steps_of(model, Precision::kFloat16);
  EXPECT_EQ(steps.back().inputs[1].shape, (Shape{1, 24, 1, 1, 128}));
  const std::vector<Tensor> expected = model::run_graph(model.graph(), inputs());
  const model::Graph graph = inferred(model, true);
  expect_near(testing::run_on_host(graph, Precision::kFloat16, inputs(), true), expected, 2e-6);
  if (cuda::device_count() == 0) return;
  expect_near(testing::run_on_gpu(graph, Precision::kFloat16, inputs()), expected, 2e-6);
}

// The caller's pixels of four halves, through the stem and, where its window is another, through a
// packing step.
TEST(ConvLowering, ReadsPixelsOfHalves) {
  for (const I kernel : {1, 3, 7}) {
    SCOPED_TRACE(kernel);
    ModelBuilder model(20);
    model.input("x", {2, 3, 20, 22}).weights("w", {16, 3, kernel, kernel}, 1, 0.3F);
    model.weights("v", {8, 16, 1, 1}, 2, 0.3F);
    model.node("Conv", {"x", "w"}, {"a"}, window({2, 2}, Ints(4, kernel / 2)));
    model.node("Relu", {"a"}, {"b"}).node("Conv", {"b", "v"}, {"y"}).output("y");
    const Tensor pixels = model::convert(noise({2, 20, 22, 4}, 5), DType::kFloat16);
    const Tensor floats = model::convert(pixels, DType::kFloat32);
    std::vector<float> planes(2 * 3 * 440);
    for (std::size_t i = 0; i < planes.size(); ++i) {
      planes[i] = floats.as<float>()[(i / 1320 * 440 + i % 440) * 4 + i / 440 % 3];
    }
    const std::vector<Tensor> expected =
        model::run_graph(model.graph(), list(Tensor::of<float>(planes, {2, 3, 20, 22})));
    model::Graph graph = inferred(model, true);
    EXPECT_EQ(compiler::read_half_pixels(graph), 1);
    const compiler::Plan plan = cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat16);
    EXPECT_EQ(plan.inputs[0].shape, (Shape{-1, 20, 22, 4}));
    EXPECT_EQ(plan.inputs[0].dtype, DType::kFloat16);
    EXPECT_EQ(plan.programs[0].steps[0].kernel, kernel == 1 ? "pack" : "conv_stem");
    for (const Precision precision : {Precision::kFloat32, Precision::kFloat16}) {
      const double tolerance = precision == Precision::kFloat16 ? 4e-3 : 2e-5;
      const auto inputs = list(model::convert(pixels, DType::kFloat16));
      expect_near(testing::run_on_host(graph, precision, inputs, true), expected, tolerance);
      if (cuda::device_count() == 0) continue;
      SCOPED_TRACE("on the GPU");
      expect_near(testing::run_on_gpu(graph, precision, inputs), expected, tolerance);
    }
  }
}

// An enlarged picture alone, beside another, and two of them; 1x1, and 3x3 over their borders.
TEST(ConvLowering, ReadsUpsampledPicturesInPlace) {
  for (const I kernel : {1, 3}) {
    for (const char* shape : {"alone", "first", "second", "both"}) {
      SCOPED_TRACE(std::string(shape) + " " + std::to_string(kernel));
      const std::string_view which = shape;
      ModelBuilder model(20);
      model.input("x", {2, 8, 8, 12}).weights("w", {16, 8, 1, 1}, 1, 0.3F);
      model.weights("v", {8, 8, 1, 1}, 2, 0.3F).weights("last", {8, 8, 1, 1}, 4, 0.3F);
      model.floats("twice", {4}, std::vector<float>{1, 1, 2, 2})
          .floats("four", {4}, std::vector<float>{1, 1, 4, 4});
      const auto stride = [](I n) { return attributes({{"strides", Ints{n, n}}}); };
      const auto nearest =
          attributes({{"coordinate_transformation_mode", std::string("asymmetric")},
                      {"nearest_mode", std::string("floor")}});
      model.node("Conv", {"x", "w"}, {"a2"}, stride(2)).node("Conv", {"x", "v"}, {"b1"}, stride(1));
      model.node("Conv", {"x", "v"}, {"b4"}, stride(4));
      model.node("Resize", {"a2", "", "twice"}, {"a"}, nearest);
      model.node("Resize", {"b4", "", "four"}, {"b"}, nearest);
      Names parts{"a", "b1"};
      if (which == "alone") parts = {"a"};
      if (which == "second") parts = {"b1", "a"};
      if (which == "both") parts = {"b", "a"};
      std::string read = "a";
      if (parts.size() > 1) {
        model.node("Concat", parts, {"j"}, attributes({{"axis", I{1}}}));
        read = "j";
      }
      model.weights("u", {8, which == "alone" ? 16 : 24, kernel, kernel}, 3, 0.1F);
      model.node("Conv", {read, "u"}, {"c"},
                 attributes({{"pads", Ints(4, kernel / 2)}, {"strides", Ints{1, 1}}}));
      model.node("Relu", {"c"}, {"r"}).node("Conv", {"r", "last"}, {"y"}).output("y");
      const Names kernels = kernels_of(model);
      EXPECT_EQ(std::count(kernels.begin(), kernels.end(), "copy"), 0);
      expect_right(model, list(noise({2, 8, 8, 12}, 5)));
    }
  }
}

TEST(ConvLowering, ChoosesTheKernelByWhatItReads) {
  const auto stem = window({2, 2}, {1, 1, 1, 1});
  // The stem writes FP16, so something must follow.
  ModelBuilder stem_model(20);
  stem_model.input("x", {2, 3, 16, 16})
      .weights("w", {16, 3, 3, 3}, 1)
      .weights("v", {8, 16, 1, 1}, 2);
  stem_model.node("Conv", {"x", "w"}, {"a"}, stem).node("Conv", {"a", "v"}, {"y"}).output("y");
  EXPECT_EQ(kernels_of(stem_model), (Names{"conv_stem", "conv"}));
  expect_right(stem_model, list(noise({2, 3, 16, 16}, 5)));

  // Three channels: padded to eight while they are rounded.
  EXPECT_EQ(kernels_of(conv_model({16, 3, 3, 3}, window({1, 1}, {1, 1, 1, 1}), 3)),
            (Names{"pack", "conv"}));
  // Patches become the rows of a matrix.
  const auto patches =
      steps_of(conv_model({24, 3, 3, 3}, window({3, 3}, {0, 0, 0, 0}), 3), Precision::kFloat16);
  ASSERT_EQ(patches.size(), 2u);
  EXPECT_EQ(patches[0].outputs[0].shape, (Shape{2 * 3 * 3, 32}));   // 27 and five zeros
  EXPECT_EQ(patches[1].inputs[1].shape, (Shape{1, 24, 1, 1, 64}));  // in two halves

  const auto same = [](I group) { return window({1, 1}, {1, 1, 1, 1}, group); };
  EXPECT_EQ(kernels_of(inner_conv_model({16, 16, 3, 3}, same(1), 16))[2], "conv");
  EXPECT_EQ(kernels_of(inner_conv_model({16, 1, 3, 3}, same(16), 16))[2], "conv_depthwise");
  // Four groups of four channels are two of eight, with zeros between.
  const auto grouped = steps_of(inner_conv_model({16, 4, 3, 3}, same(4), 16), Precision::kFloat16);
  EXPECT_EQ(grouped[2].attributes.get_int("group", 0), 2);
  EXPECT_EQ(grouped[2].inputs[1].shape, (Shape{2, 8, 3, 3, 8}));
  // FP32 computes as it reads.
  EXPECT_EQ(kernels_of(inner_conv_model({16, 16, 3, 3}, same(1), 16), Precision::kFloat32),
            (Names{"conv_strided", "conv_strided", "conv_strided"}));
}

TEST(ConvLowering, IsRightInsideANetwork) {
  const std::vector<Tensor> x = list(noise({2, 8, 10, 9}, 9));
  for (const I group : {1, 2, 4, 16}) {
    SCOPED_TRACE(group);
    expect_right(inner_conv_model({16, 16 / group, 3, 3}, window({1, 2}, {1, 0, 1, 2}, group), 16),
                 x, 6e-3);
  }
  expect_right(inner_conv_model({8, 12, 2, 2}, window({2, 2}, {0, 0, 0, 0}), 12), x, 6e-3);
}

// Squeeze-and-excitation: the gate's one channel would have to be packed for the tile kernel.
TEST(ConvLowering, GatesRunOnPlainArithmetic) {
  ModelBuilder model(20);
  model.input("x", {2, 8, 6, 6}).weights("w", {16, 8, 1, 1}, 1, 0.3F);
  model.weights("down", {1, 16, 1, 1}, 2, 0.3F).weights("up", {16, 1, 1, 1}, 3, 0.3F);
  model.weights("v", {8, 16, 1, 1}, 4, 0.2F);
  model.node("Conv", {"x", "w"}, {"a"})
      .node("GlobalAveragePool", {"a"}, {"p"})
      .node("Conv", {"p", "down"}, {"d"})
      .node("Relu", {"d"}, {"r"})
      .node("Conv", {"r", "up"}, {"u"})
      .node("Sigmoid", {"u"}, {"s"})
      .node("Mul", {"a", "s"}, {"m"})
      .node("Conv", {"m", "v"}, {"y"})
      .output("y");
  EXPECT_EQ(kernels_of(model),
            (Names{"pack", "conv", "global_pool", "conv", "conv_strided", "pointwise", "conv"}));
  expect_right(model, list(noise({2, 8, 6, 6}, 4)), 6e-3);
}

// Conv -> SiLU, plus the block's input: the residual of YOLO's bottleneck, into a Concat.
TEST(ConvLowering, FusesActivationAndResidualAndWritesIntoAConcat) {
  ModelBuilder model(20);
  model.input("x", {1, 8, 6, 6}).weights("w0", {16, 8, 1, 1}, 1, 0.3F);
  model.weights("w1", {16, 16, 3, 3}, 2, 0.1F).weights("w2", {8, 32, 1, 1}, 3, 0.2F);
  model.node("Conv", {"x", "w0"}, {"a"})
      .node("Conv", {"a", "w1"}, {"c"}, window({1, 1}, {1, 1, 1, 1}))
      .node("Sigmoid", {"c"}, {"s"})
      .node("Mul", {"c", "s"}, {"m"})
      .node("Add", {"a", "m"}, {"r"})
      .node("Concat", {"a", "r"}, {"k"}, attributes({{"axis", I{1}}}))
      .node("Conv", {"k", "w2"}, {"y"})
      .output("y");
  const auto steps = steps_of(model, Precision::kFloat16);
  Names kernels;
  for (const auto& step : steps) kernels.push_back(step.kernel);
  ASSERT_EQ(kernels, (Names{"pack", "conv", "conv", "conv"}));
  EXPECT_EQ(steps[2].epilogue.residual, model::Epilogue::Residual::kAfterActivation);
  EXPECT_EQ(steps[2].outputs[0].strides[3], 32);  // a slice of the Concat's pixels
  expect_right(model, list(noise({1, 8, 6, 6}, 4)), 6e-3);
}

// C3k2 as exported with a dynamic batch: halves by Slice, then all of them and one more joined.
TEST(ConvLowering, MovesNothingWhereSlicesCutAWholeValue) {
  for (const bool swapped : {false, true}) {
    ModelBuilder model(20);
    model.input("x", {1, 8, 6, 6}).weights("w0", {32, 8, 1, 1}, 1, 0.3F);
    model.weights("w1", {16, 16, 1, 1}, 2, 0.2F).weights("w2", {8, 48, 1, 1}, 3, 0.2F);
    model.ints("zero", {0}).ints("half", {16}).ints("all", {32}).ints("axis", {1});
    model.node("Conv", {"x", "w0"}, {"a"})
        .node("Slice", {"a", "zero", "half", "axis"}, {"a0"})
        .node("Slice", {"a", "half", "all", "axis"}, {"a1"})
        .node("Conv", {"a1", "w1"}, {"c"})
        .node("Concat", swapped ? Names{"a1", "a0", "c"} : Names{"a0", "a1", "c"}, {"k"},
              attributes({{"axis", I{1}}}))
        .node("Conv", {"k", "w2"}, {"y"})
        .output("y");
    const Names kernels = kernels_of(model);
    EXPECT_EQ(std::count(kernels.begin(), kernels.end(), "copy"), swapped ? 2 : 0);
    expect_right(model, list(noise({1, 8, 6, 6}, 4)), 6e-3);
  }
}

// Patches to tokens behind a class token (ViT's embedding): pixels of images further apart.
TEST(ConvLowering, WritesTokensIntoTheirSequence) {
  for (const I batch : {1, 2}) {
    ModelBuilder model(20);
    model.input("x", {batch, 3, 8, 8}).weights("w", {16, 3, 4, 4}, 1, 0.2F);
    model.ints("flat", {batch, 16, 4}).weights("class", {batch, 1, 16}, 2);
    model.weights("v", {16, 8}, 3, 0.2F);
    model.node("Conv", {"x", "w"}, {"a"}, attributes({{"strides", Ints{4, 4}}}))
        .node("Reshape", {"a", "flat"}, {"f"})
        .node("Transpose", {"f"}, {"t"}, attributes({{"perm", Ints{0, 2, 1}}}))
        .node("Concat", {"class", "t"}, {"s"}, attributes({{"axis", I{1}}}))
        .node("MatMul", {"s", "v"}, {"y"})
        .output("y");
    const Names kernels = kernels_of(model);
    EXPECT_EQ(std::count(kernels.begin(), kernels.end(), "copy"), 1)
        << batch;  // of the class token
    expect_right(model, list(noise({batch, 3, 8, 8}, 4)), 6e-3);
  }
}

TEST(ConvWork, MergesTheFewestGroups) {
  EXPECT_EQ(cuda::groups_to_merge(8, 4), 2);
  EXPECT_EQ(cuda::groups_to_merge(32, 1), 8);
  EXPECT_EQ(cuda::groups_to_merge(4, 8), 1);
  EXPECT_EQ(cuda::groups_to_merge(6, 1), 6);
}

TEST(ConvTactics, AreFoundByTheirNames) {
  EXPECT_EQ(cuda::named_conv_tactic("conv 32x64x64").name, "conv 32x64x64");
  EXPECT_EQ(cuda::named_conv_tactic("conv 32x64x64 w8").name, "conv 32x64x64 w8");
  EXPECT_EQ(cuda::named_conv_tactic("conv 16x16x64 /4").name, "conv 16x16x64 /4");
  testing::expect_error(ErrorCode::kPlanMismatch, {"'conv 1x1x1 /4'"},
                        [] { cuda::named_conv_tactic("conv 1x1x1 /4"); });
  testing::expect_error(ErrorCode::kPlanMismatch, {"'conv 16x16x64 /3'"},
                        [] { cuda::named_conv_tactic("conv 16x16x64 /3"); });
}

TEST(Activations, TakeTheirNumbers) {
  model::Epilogue quick;
  quick.activation = model::Op::kSilu;
  quick.activation_attributes.set("alpha", 1.702F);
  EXPECT_EQ(cuda::activation_params(quick).kind, cuda::Activation::kScaledSilu);
  EXPECT_EQ(cuda::activation_params(quick).alpha, 1.702F);
  quick.activation_attributes.set("alpha", 1.0F);
  EXPECT_EQ(cuda::activation_params(quick).kind, cuda::Activation::kSilu);
  quick.activation = model::Op::kCos;
  testing::expect_error(ErrorCode::kModelUnsupported, {"Cos"},
                        [&] { cuda::activation_params(quick); });
}

TEST(MatMulLowering, RunsOnTheTileKernelWithConstants) {
  ModelBuilder model(20);
  model.input("x", {2, 5, 16}).weights("w", {16, 24}, 1, 0.2F).weights("b", {24}, 2);
  model.weights("v", {24, 16}, 3, 0.2F);
  model.node("MatMul", {"x", "w"}, {"m"})
      .node("Add", {"m", "b"}, {"a"})
      .node("Gelu", {"a"}, {"g"})
      .node("MatMul", {"g", "v"}, {"r"})
      .node("Add", {"x", "r"}, {"y"})
      .output("y");
  EXPECT_EQ(kernels_of(model), (Names{"pack", "conv", "copy", "conv"}));
  const auto steps = steps_of(model, Precision::kFloat16);
  EXPECT_EQ(steps[1].epilogue.activation, model::Op::kGelu);
  EXPECT_EQ(steps[1].inputs[0].shape, (Shape{10, 16, 1, 1}));
  expect_right(model, list(noise({2, 5, 16}, 4)));
}

// Four row axes, none of which merge: put in order before they are packed.
TEST(MatMulLowering, TakesRowsInAnyOrder) {
  ModelBuilder model(20);
  model.input("x", {2, 3, 2, 4, 8}).weights("w", {8, 16}, 1, 0.2F);
  model.node("Transpose", {"x"}, {"t"}, attributes({{"perm", Ints{3, 2, 1, 0, 4}}}))
      .node("MatMul", {"t", "w"}, {"y"})
      .output("y");
  expect_right(model, list(noise({2, 3, 2, 4, 8}, 4)));
}

TEST(MatMulLowering, RefusesIntegers) {
  ModelBuilder model(20);
  model.input("a", {2, 3}, DType::kInt64).input("b", {3, 4}, DType::kInt64);
  model.node("MatMul", {"a", "b"}, {"y"}).output("y");
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"(MatMul): it multiplies matrices of integers"},
                        [&] { steps_of(model, Precision::kFloat32); });
}

TEST(EinsumLowering, SumsAndMovesOneOperand) {
  for (const char* equation : {"iij->ji", "iij->j", "jik->", "ijk->kij"}) {
    SCOPED_TRACE(equation);
    ModelBuilder model(20);
    model.input("x", {3, 3, 4});
    model.node("Einsum", {"x"}, {"y"}, attributes({{"equation", std::string(equation)}}));
    expect_right(model.output("y"), list(noise({3, 3, 4}, 1)));
  }
}

TEST(EinsumLowering, RefusesThreeOperandsAndAmbiguousSums) {
  ModelBuilder model(20);
  model.input("a", {2, 3})
      .node("Einsum", {"a", "a", "a"}, {"y"},
            attributes({{"equation", std::string("ij,ij,ij->i")}}));
  model.output("y");
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"it has 3 operands; one or two are supported"},
                        [&] { steps_of(model, Precision::kFloat32); });
  ModelBuilder turned(20);
  turned.input("a", {2, 3, 4}).input("b", {4, 3});
  turned.node("Einsum", {"a", "b"}, {"y"}, attributes({{"equation", std::string("ijk,kj->i")}}));
  turned.output("y");
  testing::expect_error(ErrorCode::kModelUnsupported, {"in different orders"},
                        [&] { steps_of(turned, Precision::kFloat32); });
}

// x -> Conv -> three pools, each reading the one before -> Concat -> Conv: YOLO's SPPF.
ModelBuilder sppf(int pools, I kernel = 5) {
  ModelBuilder model(20);
  model.input("x", {1, 8, 7, 6})
      .weights("w", {16, 8, 1, 1}, 1, 0.3F)
      .node("Conv", {"x", "w"}, {"p0"});
  Names parts{"p0"};
  for (int i = 0; i < pools; ++i) {
    const std::string next = std::string("p") + std::to_string(i + 1);
    model.node("MaxPool", {parts.back()}, {next},
               attributes({{"kernel_shape", Ints{kernel, kernel}}, {"pads", Ints(4, kernel / 2)}}));
    parts.push_back(next);
  }
  model.node("Concat", parts, {"c"}, attributes({{"axis", I{1}}}));
  model.weights("v", {8, 16 * (pools + 1), 1, 1}, 2, 0.2F)
      .node("Conv", {"c", "v"}, {"y"})
      .output("y");
  return model;
}

TEST(PoolLowering, ChainsThreePools) {
  EXPECT_EQ(kernels_of(sppf(3)), (Names{"pack", "conv", "pool_chain", "conv"}));
  EXPECT_EQ(kernels_of(sppf(2)), (Names{"pack", "conv", "pool", "pool", "conv"}));
  EXPECT_EQ(kernels_of(sppf(4)), (Names{"pack", "conv", "pool_chain", "pool", "conv"}));
  const auto steps = steps_of(sppf(3), Precision::kFloat16);
  EXPECT_EQ(steps[2].origins.size(), 3u);
  EXPECT_EQ(steps[2].outputs.size(), 3u);
  for (const int pools : {2, 3, 4}) expect_right(sppf(pools), list(noise({1, 8, 7, 6}, 3)), 6e-3);
}

TEST(PoolLowering, GivesIndices) {
  for (const I order : {0, 1}) {
    ModelBuilder model(20);
    model.input("x", {2, 3, 6, 5});
    model.node(
        "MaxPool", {"x"}, {"y", "i"},
        attributes(
            {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 1}}, {"storage_order", order}}));
    model.output("y").output("i");
    expect_right(model, list(noise({2, 3, 6, 5}, 8)));
  }
}

// Q, K and V of [batch, tokens, heads * depth] by projections, with what the caller adds.
struct AttentionCase {
  I heads = 2, kv_heads = 2, depth = 16, queries = 5, keys = 5;
  bool mask = false, bool_mask = false, causal = false;
  float softcap = 0;
};

ModelBuilder attention_model(const AttentionCase& c) {
  ModelBuilder model(23);
  model.input("q", {2, c.queries, c.heads * c.depth});
  model.input("k", {2, c.keys, c.kv_heads * c.depth}).input("v", {2, c.keys, c.kv_heads * c.depth});
  Names inputs{"q", "k", "v"};
  if (c.mask) {
    inputs.push_back("m");
    model.weights("m", {1, c.heads, c.queries, c.keys}, 5);
  }
  if (c.bool_mask) {
    inputs.push_back("b");
    Tensor allowed(DType::kBool, {c.queries, c.keys});
    for (I i = 0; i < allowed.size(); ++i) allowed.as<bool>()[std::size_t(i)] = i % 3 != 1;
    model.constant("b", allowed);
  }
  model.node("Attention", inputs, {"y"},
             attributes({{"q_num_heads", c.heads},
                         {"kv_num_heads", c.kv_heads},
                         {"is_causal", I{c.causal}},
                         {"softcap", c.softcap}}));
  return model.output("y");
}

void expect_attention(const AttentionCase& c, const char* half_kernel) {
  const ModelBuilder model = attention_model(c);
  const Names kernels = kernels_of(model);
  EXPECT_NE(std::find(kernels.begin(), kernels.end(), half_kernel), kernels.end());
  expect_right(model, list(noise({2, c.queries, c.heads * c.depth}, 1),
                           noise({2, c.keys, c.kv_heads * c.depth}, 2),
                           noise({2, c.keys, c.kv_heads * c.depth}, 3)));
}

TEST(AttentionLowering, ReadsHeadsByStrides) {
  expect_attention({}, "attention");
  expect_attention({.queries = 3, .keys = 70}, "attention");
  expect_attention({.heads = 6, .kv_heads = 2}, "attention");
  expect_attention({.mask = true}, "attention");
  expect_attention({.bool_mask = true}, "attention");
  expect_attention({.causal = true, .softcap = 2.0F}, "attention");
  expect_attention({.depth = 12}, "attention_strided");
  expect_attention({.depth = 136}, "attention_strided");
}

TEST(AttentionLowering, JoinsThePast) {
  ModelBuilder model(23);
  model.input("q", {1, 2, 3, 8}).input("k", {1, 2, 4, 8}).input("v", {1, 2, 4, 8});
  model.input("pk", {1, 2, 5, 8}).input("pv", {1, 2, 5, 8});
  model.node("Attention", {"q", "k", "v", "", "pk", "pv"}, {"y", "nk", "nv"},
             attributes({{"is_causal", I{1}}}));
  model.output("y").output("nk").output("nv");
  expect_right(model, list(noise({1, 2, 3, 8}, 1), noise({1, 2, 4, 8}, 2), noise({1, 2, 4, 8}, 3),
                           noise({1, 2, 5, 8}, 4), noise({1, 2, 5, 8}, 5)));
}

// Exporters expand masks: what repeats is kept once, and a mask of zeros not at all.
TEST(AttentionLowering, KeepsOfConstantMasksWhatDiffers) {
  const auto mask_of = [](const std::vector<float>& row) {
    ModelBuilder model(23);
    model.input("q", {1, 3, 16}).input("k", {1, 4, 16}).input("v", {1, 4, 16});
    std::vector<float> expanded;
    for (int i = 0; i < 2 * 3; ++i) expanded.insert(expanded.end(), row.begin(), row.end());
    model.floats("m", {1, 2, 3, 4}, expanded);
    model.node("Attention", {"q", "k", "v", "m"}, {"y"},
               attributes({{"q_num_heads", I{2}}, {"kv_num_heads", I{2}}}));
    model.output("y");
    expect_right(model, list(noise({1, 3, 16}, 1), noise({1, 4, 16}, 2), noise({1, 4, 16}, 3)));
    for (const compiler::Step& step : steps_of(model, Precision::kFloat16)) {
      if (step.kernel == "attention") return step.inputs[3];
    }
    ADD_FAILURE() << "no attention";
    return compiler::Operand{};
  };
  EXPECT_EQ(mask_of({0, -1, 2, 0}).strides, (Shape{0, 0, 0, 1}));
  EXPECT_TRUE(mask_of({0, 0, 0, 0}).is_absent());
  EXPECT_EQ(mask_of({-1, -1, -1, -1}).strides, (Shape{0, 0, 0, 0}));
}

// YOLO's C2PSA: heads and depths are channels of a picture.
TEST(AttentionLowering, ReadsChannelsOfPicturesAsTheyLie) {
  ModelBuilder model(20);
  model.input("x", {1, 8, 4, 4})
      .weights("w", {64, 8, 1, 1}, 1, 0.3F)
      .weights("o", {8, 32, 1, 1}, 2);
  model.ints("split", {8, 8, 16}).ints("heads", {1, 2, 32, 16}).ints("picture", {1, 32, 4, 4});
  model.floats("scale", {}, std::vector<float>{0.35F});
  model.node("Conv", {"x", "w"}, {"a"})
      .node("Reshape", {"a", "heads"}, {"h"})
      .node("Split", {"h", "split"}, {"q", "k", "v"}, attributes({{"axis", I{2}}}))
      .node("Transpose", {"q"}, {"qt"}, attributes({{"perm", Ints{0, 1, 3, 2}}}))
      .node("MatMul", {"qt", "k"}, {"s"})
      .node("Mul", {"s", "scale"}, {"z"})
      .node("Softmax", {"z"}, {"p"}, attributes({{"axis", I{-1}}}))
      .node("Transpose", {"p"}, {"pt"}, attributes({{"perm", Ints{0, 1, 3, 2}}}))
      .node("MatMul", {"v", "pt"}, {"t"})
      .node("Reshape", {"t", "picture"}, {"r"})
      .node("Conv", {"r", "o"}, {"y"})
      .output("y");
  EXPECT_EQ(kernels_of(model), (Names{"pack", "conv", "attention", "conv"}));
  const std::vector<Tensor> x = list(noise({1, 8, 4, 4}, 4));
  const model::Graph graph = inferred(model, true);
  expect_near(testing::run_on_host(graph, Precision::kFloat16, x, true),
              model::run_graph(model.graph(), x), 8e-3);
}

}  // namespace
}  // namespace peregrine
