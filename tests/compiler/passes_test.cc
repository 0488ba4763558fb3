// SPDX-License-Identifier: Apache-2.0
// Each pass does its work, leaves alone what it must, and keeps the answers.
#include "compiler/passes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "compiler/compile_graph.h"
#include "compiler/pass_testing.h"
#include "model/convert.h"
#include "model/model_builder.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"

namespace peregrine {
namespace testing {

model::Graph expect_unchanged(const model::Graph& graph,
                              const std::function<void(model::Graph&)>& pass, int batch,
                              float tolerance) {
  model::Graph before = graph.clone();
  model::infer(before, {.batch = batch});
  model::Graph after = before.clone();
  pass(after);
  std::vector<Tensor> inputs;
  for (const model::Value* input : before.inputs()) {
    inputs.push_back(noise(input->shape, static_cast<unsigned>(inputs.size()) + 7));
  }
  const std::vector<Tensor> expected = model::run_graph(before, inputs);
  const std::vector<Tensor> actual = model::run_graph(after, inputs);
  EXPECT_EQ(after.output_names(), before.output_names());
  for (std::size_t k = 0; k < expected.size(); ++k) {
    EXPECT_EQ(actual[k].shape(), expected[k].shape());
    EXPECT_EQ(after.outputs()[k]->shape, expected[k].shape()) << "shapes stay known";
    const auto wanted = expected[k].as<float>();
    const auto got = actual[k].as<float>();
    float largest = 0;
    float worst = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      worst = std::max(worst, std::abs(wanted[i] - got[i]));
    }
    EXPECT_GT(largest, 0) << "the test computes nothing";
    EXPECT_LE(worst, tolerance * largest) << "output " << k;
  }
  return after;
}

int count(const model::Graph& graph, model::Op op) {
  return static_cast<int>(graph.nodes(op).size());
}

}  // namespace testing

namespace {

using compiler::compile_graph;
using model::Graph;
using model::Ints;
using model::Op;
using testing::attributes;
using testing::count;
using testing::expect_unchanged;
using testing::ModelBuilder;
using Residual = model::Epilogue::Residual;

const model::Attributes kSame3x3 = attributes({{"pads", Ints{1, 1, 1, 1}}});

ModelBuilder conv_model() {
  ModelBuilder model;
  model.input("x", {-1, 4, 6, 6}).weights("w", {5, 4, 3, 3}, 1, 0.2F).weights("b", {5}, 2);
  model.node("Conv", {"x", "w", "b"}, {"c"}, kSame3x3);
  return model;
}

TEST(RemoveNoOps, TakesOutWhatMovesNothing) {
  ModelBuilder model = conv_model();
  model.node("Identity", {"c"}, {"c1"}).node("Dropout", {"c1"}, {"c2"});
  model.node("Cast", {"c2"}, {"c3"}, attributes({{"to", std::int64_t{1}}}));
  model.ints("flat", {0, -1}).ints("again", {0, 5, 36}).ints("axes", {1});
  model.node("Reshape", {"c3", "flat"}, {"r"}).node("Reshape", {"r", "again"}, {"r2"});
  model.node("Unsqueeze", {"r2", "axes"}, {"u"}).node("Squeeze", {"u", "axes"}, {"s"});
  model.node("Transpose", {"s"}, {"t"}, attributes({{"perm", Ints{0, 2, 1}}}));
  model.node("Transpose", {"t"}, {"t2"}, attributes({{"perm", Ints{0, 2, 1}}}));
  model.floats("one", {}, std::vector<float>{1}).node("Mul", {"t2", "one"}, {"m"});
  model.node("Relu", {"m"}, {"y"}).output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::remove_no_ops);
  EXPECT_EQ(graph.nodes().size(), 3U);  // Conv, one Reshape, Relu
  EXPECT_EQ(count(graph, Op::kReshape), 1);
}

TEST(RemoveNoOps, KeepsAnOutputThatIsAnInput) {
  ModelBuilder model;
  model.input("x", {-1, 4}).node("Identity", {"x"}, {"y"}).output("y");
  EXPECT_EQ(expect_unchanged(model.graph(), compiler::remove_no_ops).nodes().size(), 1U);
}

TEST(FoldAffine, IntoConvTransposedConvAndGemm) {
  const std::vector<float> variance{0.5F, 1, 2, 0.1F, 3, 1};
  for (const int groups : {1, 2}) {
    ModelBuilder model;
    model.input("x", {-1, 4, 5, 5}).weights("w", {6, 4 / groups, 3, 3}, 1);
    model.node("Conv", {"x", "w"}, {"c"}, attributes({{"group", std::int64_t{groups}}}));
    model.weights("g", {6}, 3).weights("s", {6}, 4).weights("m", {6}, 5).floats("v", {6}, variance);
    model.node("BatchNormalization", {"c", "g", "s", "m", "v"}, {"n"});
    model.weights("w2", {6, 6 / groups, 2, 2}, 6);
    model.node("ConvTranspose", {"n", "w2"}, {"c2"},
               attributes({{"group", std::int64_t{groups}}, {"strides", Ints{2, 2}}}));
    model.node("BatchNormalization", {"c2", "g", "s", "m", "v"}, {"n2"});
    model.node("GlobalAveragePool", {"n2"}, {"p"})
        .node("Flatten", {"p"}, {"f"})
        .weights("w3", {6, 6}, 8);
    model.node("Gemm", {"f", "w3"}, {"d"}, attributes({{"transB", std::int64_t{1}}}));
    model.node("BatchNormalization", {"d", "g", "s", "m", "v"}, {"y"}).output("y");
    const Graph graph = expect_unchanged(model.graph(), compiler::fold_affine);
    EXPECT_EQ(count(graph, Op::kBatchNormalization), 0);
    EXPECT_EQ(count(graph, Op::kMul) + count(graph, Op::kAdd), 0);
  }
}

TEST(FoldAffine, FoldsArithmeticPerChannelAndRewritesWhatStandsAlone) {
  ModelBuilder model = conv_model();
  model.weights("scale", {5, 1, 1}, 3).weights("shift", {1, 5, 1, 1}, 4);
  model.node("Mul", {"scale", "c"}, {"m"})
      .node("Add", {"m", "shift"}, {"a"})
      .node("Relu", {"a"}, {"r"});
  model.weights("g", {5}, 5).floats("v", {5}, std::vector<float>{1, 2, 3, 4, 5});
  model.node("BatchNormalization", {"r", "g", "g", "g", "v"}, {"y"}).output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::fold_affine);
  EXPECT_EQ(count(graph, Op::kMul), 1);
  EXPECT_EQ(count(graph, Op::kAdd), 1);
  EXPECT_EQ(count(graph, Op::kBatchNormalization), 0);
}

TEST(FoldAffine, LeavesAConvolutionThatOthersRead) {
  ModelBuilder model = conv_model();
  model.weights("scale", {5, 1, 1}, 3)
      .node("Mul", {"c", "scale"}, {"m"})
      .node("Add", {"m", "c"}, {"y"})
      .output("y");
  EXPECT_EQ(count(expect_unchanged(model.graph(), compiler::fold_affine), Op::kMul), 1);
}

TEST(RecogniseActivations, FindsSiluHardSwishMishAndBothGelus) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).output("y");
  model.node("Sigmoid", {"x"}, {"s"}).node("Mul", {"s", "x"}, {"silu"});
  model.floats("q", {}, std::vector<float>{1.702F}).node("Mul", {"silu", "q"}, {"sq"});
  model.node("Sigmoid", {"sq"}, {"sg"}).node("Mul", {"silu", "sg"}, {"quick"});
  model.node("HardSigmoid", {"quick"}, {"h"}, attributes({{"alpha", 1.0F / 6}, {"beta", 0.5F}}));
  model.node("Mul", {"quick", "h"}, {"swish"});
  model.node("Softplus", {"swish"}, {"sp"})
      .node("Tanh", {"sp"}, {"th"})
      .node("Mul", {"swish", "th"}, {"mish"});
  model.floats("r2", {}, std::vector<float>{1.41421356F}).floats("one", {}, std::vector<float>{1});
  model.floats("half", {}, std::vector<float>{0.5F}).floats("three", {}, std::vector<float>{3});
  model.node("Div", {"mish", "r2"}, {"e0"})
      .node("Erf", {"e0"}, {"e1"})
      .node("Add", {"e1", "one"}, {"e2"});
  model.node("Mul", {"mish", "e2"}, {"e3"}).node("Mul", {"e3", "half"}, {"gelu"});
  model.floats("k", {}, std::vector<float>{0.044715F})
      .floats("p", {}, std::vector<float>{0.7978845608F});
  model.node("Pow", {"gelu", "three"}, {"t0"})
      .node("Mul", {"t0", "k"}, {"t1"})
      .node("Add", {"gelu", "t1"}, {"t2"});
  model.node("Mul", {"t2", "p"}, {"t3"})
      .node("Tanh", {"t3"}, {"t4"})
      .node("Add", {"t4", "one"}, {"t5"});
  model.node("Mul", {"gelu", "half"}, {"t6"}).node("Mul", {"t6", "t5"}, {"y"});
  const Graph graph = expect_unchanged(model.graph(), compiler::recognise_activations);
  EXPECT_EQ(count(graph, Op::kSilu), 2);
  EXPECT_EQ(count(graph, Op::kHardSwish), 1);
  EXPECT_EQ(count(graph, Op::kMish), 1);
  EXPECT_EQ(count(graph, Op::kGelu), 2);
  EXPECT_EQ(graph.nodes().size(), 6U);
  EXPECT_NE(std::ranges::find(graph.nodes(Op::kSilu)[0]->origins(), "/Sigmoid_s"),
            graph.nodes(Op::kSilu)[0]->origins().end());
}

TEST(RecogniseActivations, LeavesOtherGates) {
  ModelBuilder model;
  model.input("x", {-1, 3}).input("z", {-1, 3}).output("y");
  model.node("Sigmoid", {"x"}, {"s"}).node("Mul", {"s", "z"}, {"y"});
  EXPECT_EQ(count(expect_unchanged(model.graph(), compiler::recognise_activations), Op::kSilu), 0);
}

// YOLO's head from [batch, 4 * 3 + 5, 6] on, as exporters write it.
ModelBuilder box_decoder(bool corners, const char* size, bool summed = false) {
  ModelBuilder model;
  model.input("x", {-1, 17, 6}).ints("parts", {12, 5}).output("y");
  model.node("Split", {"x", "parts"}, {"d", "s"}, attributes({{"axis", std::int64_t{1}}}));
  model.ints("unfold", {0, 4, 3, 6}).ints("fold", {0, 4, 6});
  model.floats("bins", summed ? Shape{1, 1, 3, 1} : Shape{1, 3, 1, 1}, std::vector<float>{0, 1, 2});
  model.weights("low_anchors", {1, 2, 6}, 1).weights("high_anchors", {2, 6}, 2);
  model.weights("strides", {1, 6}, 3).ints("zero", {0}).ints("two", {2}).ints("four", {4});
  model.ints("one", {1}).floats("half", {}, std::vector<float>{0.5F});
  model.node("Reshape", {"d", "unfold"}, {"d4"});
  if (summed) {
    model.node("Softmax", {"d4"}, {"p"}, attributes({{"axis", std::int64_t{2}}}))
        .node("Mul", {"p", "bins"}, {"e"})
        .node("ReduceSum", {"e", "two"}, {"distances"},
              attributes({{"keepdims", std::int64_t{0}}}));
  } else {
    model.node("Transpose", {"d4"}, {"t"}, attributes({{"perm", Ints{0, 2, 1, 3}}}))
        .node("Softmax", {"t"}, {"p"}, attributes({{"axis", std::int64_t{1}}}))
        .node("Conv", {"p", "bins"}, {"e"})
        .node("Reshape", {"e", "fold"}, {"distances"});
  }
  model.node("Slice", {"distances", "zero", "two", "one"}, {"lt"})
      .node("Slice", {"distances", "two", "four", "one"}, {"rb"});
  model.node("Sub", {"low_anchors", "lt"}, {"low"}).node("Add", {"rb", "high_anchors"}, {"high"});
  if (corners) {
    model.node("Concat", {"low", "high"}, {"box"}, attributes({{"axis", std::int64_t{1}}}));
  } else {
    model.node("Add", {"low", "high"}, {"sum"}).node("Mul", {"sum", "half"}, {"centre"});
    model.node(size, {"high", "low"}, {"size"});
    model.node("Concat", {"centre", "size"}, {"box"}, attributes({{"axis", std::int64_t{1}}}));
  }
  model.node("Mul", {"box", "strides"}, {"pixels"}).node("Sigmoid", {"s"}, {"scores"});
  model.node("Concat", {"pixels", "scores"}, {"y"}, attributes({{"axis", std::int64_t{1}}}));
  return model;
}

TEST(RecogniseBoxDecode, BecomesOneNodeWithItsScores) {
  for (const int form : {0, 1, 2, 3}) {
    const ModelBuilder model = box_decoder(form % 2 == 1, "Sub", form >= 2);
    const Graph graph = expect_unchanged(model.graph(), [](Graph& each) {
      compiler::recognise_box_decode(each);
      compiler::remove_no_ops(each);
    });
    EXPECT_EQ(graph.nodes().size(), 2U);  // it and the Split
    ASSERT_EQ(count(graph, Op::kBoxDecode), 1);
    const auto& origins = graph.nodes(Op::kBoxDecode)[0]->origins();
    EXPECT_NE(std::ranges::find(origins, "/Softmax_p"), origins.end());
  }
}

TEST(RecogniseBoxDecode, LeavesOtherArithmetic) {
  const Graph graph =
      expect_unchanged(box_decoder(false, "Div").graph(), compiler::recognise_box_decode);
  EXPECT_EQ(count(graph, Op::kBoxDecode), 0);
}

TEST(RecogniseLayerNorm, FindsTheFormulaWithAndWithoutBias) {
  for (const bool bias : {true, false}) {
    ModelBuilder model;
    model.input("x", {-1, 7, 8}).weights("g", {8}, 1).weights("b", {8}, 2);
    model.floats("two", {}, std::vector<float>{2}).floats("eps", {}, std::vector<float>{1e-6F});
    model.node("ReduceMean", {"x"}, {"m"}, attributes({{"axes", Ints{-1}}}))
        .node("Sub", {"x", "m"}, {"d"});
    model.node("Pow", {"d", "two"}, {"q"})
        .node("ReduceMean", {"q"}, {"v"}, attributes({{"axes", Ints{2}}}));
    model.node("Add", {"v", "eps"}, {"e"})
        .node("Sqrt", {"e"}, {"r"})
        .node("Div", {"d", "r"}, {"n"});
    model.node("Mul", {"n", "g"}, {bias ? "s" : "y"});
    if (bias) model.node("Add", {"s", "b"}, {"y"});
    model.output("y");
    const Graph graph = expect_unchanged(model.graph(), compiler::recognise_layer_norm);
    EXPECT_EQ(graph.nodes().size(), 1U);
    EXPECT_EQ(count(graph, Op::kLayerNormalization), 1);
  }
}

TEST(FuseActivation, ConvGemmAndMatMulTakeTheirs) {
  ModelBuilder model = conv_model();
  model.node("LeakyRelu", {"c"}, {"l"}, attributes({{"alpha", 0.1F}}));
  model.floats("zero", {}, std::vector<float>{0}).floats("six", {}, std::vector<float>{6});
  model.weights("w2", {5, 5, 1, 1}, 4)
      .node("Conv", {"l", "w2"}, {"c2"})
      .node("Clip", {"c2", "zero", "six"}, {"k"});
  model.weights("w3", {6, 6}, 5)
      .node("MatMul", {"k", "w3"}, {"mm"})
      .node("Tanh", {"mm"}, {"y"})
      .output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::fuse_activation);
  EXPECT_EQ(graph.nodes().size(), 3U);
}

TEST(FuseActivation, LeavesWhatOthersRead) {
  ModelBuilder model = conv_model();
  model.node("Relu", {"c"}, {"r"}).node("Add", {"r", "c"}, {"y"}).output("y");
  EXPECT_EQ(count(expect_unchanged(model.graph(), compiler::fuse_activation), Op::kRelu), 1);
}

TEST(FuseResidual, BeforeAndAfterTheActivation) {
  ModelBuilder resnet = conv_model();
  resnet.weights("w2", {5, 4, 1, 1}, 9).node("Conv", {"x", "w2"}, {"short"});
  resnet.node("Add", {"short", "c"}, {"s"}).node("Relu", {"s"}, {"y"}).output("y");
  const auto fuse = [](Graph& graph) {
    compiler::fuse_activation(graph);
    compiler::fuse_residual(graph);
    compiler::fuse_activation(graph);
  };
  const Graph before = expect_unchanged(resnet.graph(), fuse);
  EXPECT_EQ(before.nodes().size(), 2U);
  EXPECT_EQ(before.nodes()[1]->epilogue.residual, Residual::kBeforeActivation);
  EXPECT_EQ(before.nodes()[1]->epilogue.activation, Op::kRelu);

  ModelBuilder yolo = conv_model();
  yolo.node("Relu", {"c"}, {"r"}).weights("w2", {5, 5, 1, 1}, 9).node("Conv", {"r", "w2"}, {"c2"});
  yolo.node("Sigmoid", {"c2"}, {"a"})
      .node("Add", {"r", "a"}, {"s"})
      .node("Relu", {"s"}, {"y"})
      .output("y");
  const Graph after = expect_unchanged(yolo.graph(), fuse);
  EXPECT_EQ(after.nodes().size(), 3U) << "the ReLU after the sum stays";
  EXPECT_EQ(after.nodes()[1]->epilogue.residual, Residual::kAfterActivation);
}

TEST(FoldAffine, IntoMatMulAlongItsColumns) {
  ModelBuilder model;
  model.input("x", {-1, 3, 8}).weights("w", {8, 6}, 1).weights("b", {6}, 2).weights("p", {3, 6}, 3);
  model.floats("s", {}, std::vector<float>{0.3F}).weights("g", {1, 1, 6}, 4);
  model.node("MatMul", {"x", "w"}, {"m"})
      .node("Add", {"b", "m"}, {"a"})
      .node("Mul", {"a", "s"}, {"a1"});
  model.node("Mul", {"a1", "g"}, {"a2"}).node("Add", {"a2", "p"}, {"y"}).output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::fold_affine);
  EXPECT_EQ(graph.nodes().size(), 2U) << "a table of rows is no bias";
}

TEST(MergeSiblings, ConvsOfOneGeometryAndActivation) {
  ModelBuilder model = conv_model();
  model.weights("w2", {3, 4, 3, 3}, 4).weights("w3", {3, 4, 1, 1}, 5);
  model.node("Conv", {"x", "w2"}, {"c2"}, kSame3x3).node("Conv", {"x", "w3"}, {"c3"});
  model.node("Concat", {"c2", "c", "c3"}, {"y"}, attributes({{"axis", std::int64_t{1}}}))
      .output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::merge_sibling_convs);
  EXPECT_EQ(count(graph, Op::kConv), 2) << "the 1x1 stays alone";
  EXPECT_EQ(count(graph, Op::kSplit), 1);
}

TEST(MergeSiblings, Projections) {
  ModelBuilder model;
  model.input("x", {-1, 5, 8});
  for (const char* name : {"q", "k", "v"}) {
    const std::string n = name;
    model.weights("w" + n, {8, 4}, static_cast<unsigned>(n[0]))
        .weights("b" + n, {4}, static_cast<unsigned>(n[0]) + 1);
    model.node("MatMul", {"x", "w" + n}, {"m" + n}).node("Add", {"m" + n, "b" + n}, {n});
  }
  model.node("Mul", {"q", "k"}, {"qk"}).node("Sub", {"qk", "v"}, {"y"}).output("y");
  const Graph graph = expect_unchanged(model.graph(), [](Graph& g) {
    compiler::fold_affine(g);
    compiler::merge_sibling_matmuls(g);
  });
  EXPECT_EQ(count(graph, Op::kMatMul), 1);
  EXPECT_EQ(graph.nodes().size(), 4U);
}

// Q, K, V as [batch, tokens, heads * depth], as transformers write them.
TEST(RecogniseAttention, OfTransformers) {
  ModelBuilder model;
  model.input("q", {-1, 6, 8})
      .input("k", {-1, 7, 8})
      .input("v", {-1, 7, 12})
      .weights("mask", {1, 1, 6, 7}, 9);
  model.ints("qs", {0, 6, 2, 4})
      .ints("ks", {0, 7, 2, 4})
      .ints("vs", {0, 7, 2, 6})
      .ints("ys", {0, 6, 12});
  model.floats("scale", {}, std::vector<float>{0.5F});
  model.node("Reshape", {"q", "qs"}, {"q1"})
      .node("Reshape", {"k", "ks"}, {"k1"})
      .node("Reshape", {"v", "vs"}, {"v1"});
  model.node("Transpose", {"q1"}, {"q2"}, attributes({{"perm", Ints{0, 2, 1, 3}}}));
  model.node("Transpose", {"k1"}, {"k2"}, attributes({{"perm", Ints{0, 2, 3, 1}}}));
  model.node("Transpose", {"v1"}, {"v2"}, attributes({{"perm", Ints{0, 2, 1, 3}}}));
  model.node("MatMul", {"q2", "k2"}, {"s"})
      .node("Mul", {"s", "scale"}, {"s1"})
      .node("Add", {"s1", "mask"}, {"s2"});
  model.node("Softmax", {"s2"}, {"p"}, attributes({{"axis", std::int64_t{-1}}}))
      .node("MatMul", {"p", "v2"}, {"o"});
  model.node("Transpose", {"o"}, {"o1"}, attributes({{"perm", Ints{0, 2, 1, 3}}}))
      .node("Reshape", {"o1", "ys"}, {"y"});
  model.output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::recognise_attention);
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.nodes()[0]->attributes.get_ints("layouts"), (Ints{3, 3, 3, 3}));
}

// Channels first, as YOLO's C2PSA writes it: V * weights^T.
TEST(RecogniseAttention, OfYolo) {
  ModelBuilder model;
  model.input("q", {-1, 2, 4, 9}).input("k", {-1, 2, 4, 9}).input("v", {-1, 2, 6, 9});
  model.floats("scale", {}, std::vector<float>{0.3F});
  model.node("Transpose", {"q"}, {"q1"}, attributes({{"perm", Ints{0, 1, 3, 2}}}))
      .node("MatMul", {"q1", "k"}, {"s"});
  model.node("Mul", {"s", "scale"}, {"s1"}).node("Softmax", {"s1"}, {"p"});
  model.node("Transpose", {"p"}, {"p1"}, attributes({{"perm", Ints{0, 1, 3, 2}}}))
      .node("MatMul", {"v", "p1"}, {"y"});
  model.output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::recognise_attention);
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.nodes()[0]->attributes.get_ints("layouts"), (Ints{1, 1, 1, 1}));
}

// PyTorch's guard: a query whose keys are all masked gives zeros.
TEST(RecogniseAttention, KeepsTheGuardOfMaskedRows) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  ModelBuilder model;
  model.input("q", {-1, 2, 2, 4}).input("k", {-1, 2, 4, 3}).input("v", {-1, 2, 3, 6});
  model.floats("mask", {1, 1, 2, 3}, std::vector<float>{kNever, kNever, kNever, 0, kNever, 1});
  model.floats("zero", {}, std::vector<float>{0});
  model.node("MatMul", {"q", "k"}, {"s"})
      .node("Add", {"s", "mask"}, {"s1"})
      .node("Softmax", {"s1"}, {"p"});
  model.node("IsNaN", {"p"}, {"n"}).node("Where", {"n", "zero", "p"}, {"p1"});
  model.node("MatMul", {"p1", "v"}, {"y"}).output("y");
  const Graph graph = expect_unchanged(model.graph(), compiler::recognise_attention);
  EXPECT_EQ(graph.nodes().size(), 1U);
}

TEST(RecogniseAttention, DropsAMaskOfZeros) {
  for (const float last : {0.0F, 0.5F}) {
    ModelBuilder model;
    model.input("q", {-1, 2, 2, 4}).input("k", {-1, 2, 4, 3}).input("v", {-1, 2, 3, 6});
    model.floats("mask", {1, 1, 2, 3}, std::vector<float>{0, 0, 0, 0, 0, last});
    model.node("MatMul", {"q", "k"}, {"s"}).node("Add", {"s", "mask"}, {"s1"});
    model.node("Softmax", {"s1"}, {"p"}).node("MatMul", {"p", "v"}, {"y"}).output("y");
    const Graph graph = expect_unchanged(model.graph(), compiler::recognise_attention);
    ASSERT_EQ(count(graph, Op::kAttention), 1);
    EXPECT_EQ(graph.nodes()[0]->has_input(3), last != 0);
  }
}

TEST(RecogniseAttention, LeavesWeightsThatOthersRead) {
  ModelBuilder model;
  model.input("q", {-1, 2, 5, 4}).input("k", {-1, 2, 4, 5}).input("v", {-1, 2, 5, 6});
  model.node("MatMul", {"q", "k"}, {"s"})
      .node("Softmax", {"s"}, {"p"})
      .node("MatMul", {"p", "v"}, {"y"});
  model.output("y").output("p");
  EXPECT_EQ(count(expect_unchanged(model.graph(), compiler::recognise_attention), Op::kAttention),
            0);
}

TEST(ToFloat32, WidensHalfModelsAndKeepsTheirInterface) {
  ModelBuilder model;
  model.input("x", {-1, 4, 6, 6}, DType::kFloat16).output("y");
  model.constant("w", model::convert(testing::noise({5, 4, 3, 3}, 1), DType::kFloat16));
  model.node("Conv", {"x", "w"}, {"c"}).node("Relu", {"c"}, {"y"});
  Graph before = model.graph();
  model::infer(before, {.batch = 1});
  Graph after = before.clone();
  EXPECT_GT(compiler::to_float32(after), 0);
  EXPECT_EQ(after.inputs()[0]->dtype, DType::kFloat16);
  EXPECT_EQ(after.outputs()[0]->dtype, DType::kFloat16);
  EXPECT_EQ(after.nodes(Op::kConv)[0]->output()->dtype, DType::kFloat32);
  EXPECT_EQ(count(after, Op::kCast), 2);
  std::vector<Tensor> inputs;
  inputs.push_back(model::convert(testing::noise({1, 4, 6, 6}, 2), DType::kFloat16));
  const Tensor wide = model::convert(model::run_graph(before, inputs)[0], DType::kFloat32);
  const Tensor narrow = model::convert(model::run_graph(after, inputs)[0], DType::kFloat32);
  for (std::size_t i = 0; i < static_cast<std::size_t>(wide.size()); ++i) {
    EXPECT_NEAR(narrow.as<float>()[i], wide.as<float>()[i],
                2e-3F * (1 + std::abs(wide.as<float>()[i])));
  }
}

// Only what convolutions alone read, and only where eights are missing.
TEST(PadChannels, GivesPicturesBetweenConvolutionsChannelsInEights) {
  ModelBuilder model;
  model.input("x", {-1, 4, 6, 6}).weights("w0", {5, 4, 3, 3}, 1, 0.2F).weights("b0", {5}, 2);
  model.weights("w1", {11, 5, 3, 3}, 3, 0.2F).weights("w2", {3, 5, 1, 1}, 4);
  model.weights("w3", {5, 11, 1, 1}, 5).weights("w4", {8, 11, 1, 1}, 6);
  model.node("Conv", {"x", "w0", "b0"}, {"a"}, kSame3x3).node("Sigmoid", {"a"}, {"s"});
  model.node("Conv", {"s", "w1"}, {"b"}, kSame3x3).node("Conv", {"s", "w2"}, {"z"});
  model.node("Conv", {"b", "w3"}, {"c"}).node("Conv", {"b", "w4"}, {"d"});
  model.node("Relu", {"c"}, {"y"}).output("y").output("z").output("d");
  const auto pad = [](Graph& graph) {
    compiler::fuse_activation(graph);
    EXPECT_EQ(compiler::pad_channels(graph), 2);
  };
  const Graph graph = expect_unchanged(model.graph(), pad);
  std::vector<std::int64_t> channels;
  for (const model::Node* conv : graph.nodes(Op::kConv)) {
    channels.push_back(conv->output()->shape[1]);
    EXPECT_EQ(conv->output()->shape[1], conv->input(1)->shape[0]);
    EXPECT_NE(conv->output()->name, "s") << "of five channels";
  }
  std::sort(channels.begin(), channels.end());
  EXPECT_EQ(channels, (std::vector<std::int64_t>{3, 5, 8, 8, 16}));
}

// A residual, an output of the model, a reader that is no convolution, groups, and one channel.
TEST(PadChannels, LeavesWhatOthersSee) {
  ModelBuilder model;
  model.input("x", {-1, 5, 6, 6}).weights("w", {5, 5, 3, 3}, 1, 0.2F).weights("g", {5, 1, 3, 3}, 2);
  model.weights("one", {1, 5, 1, 1}, 3).weights("back", {5, 1, 1, 1}, 4);
  model.node("Conv", {"x", "w"}, {"a"}, kSame3x3).node("Conv", {"a", "w"}, {"b"}, kSame3x3);
  model.node("Add", {"a", "b"}, {"c"}).node("Conv", {"c", "w"}, {"d"}, kSame3x3);
  const auto depthwise = attributes({{"pads", Ints{1, 1, 1, 1}}, {"group", std::int64_t{5}}});
  model.node("Conv", {"d", "g"}, {"e"}, depthwise).node("Conv", {"e", "one"}, {"f"});
  model.node("Conv", {"f", "back"}, {"y"}).output("y").output("e");
  const auto pad = [](Graph& graph) {
    compiler::fuse_residual(graph);
    EXPECT_EQ(compiler::pad_channels(graph), 0);
  };
  expect_unchanged(model.graph(), pad);
}

TEST(ReadHalfPixels, TakesPicturesOnlyConvolutionsRead) {
  ModelBuilder model;
  model.input("x", {-1, 3, 6, 6}).input("z", {-1, 3, 6, 6}).weights("w", {5, 3, 3, 3}, 1, 0.2F);
  model.node("Conv", {"x", "w"}, {"a"}, kSame3x3).node("Conv", {"x", "w"}, {"b"});
  model.node("Conv", {"z", "w"}, {"c"}).node("Relu", {"z"}, {"d"});
  model.output("a").output("b").output("c").output("d");
  Graph before = model.graph();
  model::infer(before, {.batch = 2});
  Graph after = before.clone();
  EXPECT_EQ(compiler::read_half_pixels(after), 1);
  EXPECT_EQ(after.inputs()[0]->dtype, DType::kFloat16);
  EXPECT_EQ(after.inputs()[0]->shape, (Shape{2, 6, 6, 4}));
  EXPECT_EQ(after.inputs()[1]->shape, (Shape{2, 3, 6, 6}));

  // Numbers that halves hold exactly; a fourth that must not matter.
  const Tensor planes = model::convert(
      model::convert(testing::noise({2, 3, 6, 6}, 7), DType::kFloat16), DType::kFloat32);
  std::vector<float> pixels;
  for (int image = 0; image < 2; ++image)
    for (int pixel = 0; pixel < 36; ++pixel)
      for (int channel = 0; channel < 4; ++channel) {
        const int at = (image * 3 + channel) * 36 + pixel;
        pixels.push_back(channel == 3 ? 1000 : planes.as<float>()[static_cast<std::size_t>(at)]);
      }
  const Tensor second = testing::noise({2, 3, 6, 6}, 8);
  std::vector<Tensor> planar, interleaved;
  planar.push_back(model::convert(planes, DType::kFloat32));
  planar.push_back(model::convert(second, DType::kFloat32));
  interleaved.push_back(model::convert(Tensor::of<float>(pixels, {2, 6, 6, 4}), DType::kFloat16));
  interleaved.push_back(model::convert(second, DType::kFloat32));
  const std::vector<Tensor> expected = model::run_graph(before, planar);
  const std::vector<Tensor> actual = model::run_graph(after, interleaved);
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const Tensor got = model::convert(actual[k], DType::kFloat32);
    for (std::size_t i = 0; i < static_cast<std::size_t>(expected[k].size()); ++i) {
      EXPECT_NEAR(got.as<float>()[i], expected[k].as<float>()[i], 2e-3) << k << ' ' << i;
    }
  }
}

TEST(CompileGraph, ReportsEveryPass) {
  ModelBuilder model = conv_model();
  model.node("Sigmoid", {"c"}, {"s"}).node("Mul", {"c", "s"}, {"y"}).output("y");
  Graph graph = model.graph();
  model::infer(graph, {.batch = 1});
  int heard = 0;
  const auto report = compile_graph(graph, {}, [&](const compiler::PassReport&) { ++heard; });
  EXPECT_EQ(heard, static_cast<int>(report.size()));
  EXPECT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(report.back().nodes, 1);
  EXPECT_EQ(graph.nodes()[0]->epilogue.activation, Op::kSilu);
  EXPECT_EQ(graph.nodes()[0]->origins().size(), 3U);
}

}  // namespace
}  // namespace peregrine
