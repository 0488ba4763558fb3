// SPDX-License-Identifier: Apache-2.0
#include "model/op_cases.h"

#include <cmath>

namespace peregrine::testing {
namespace {

using model::Ints;
using I = std::int64_t;

model::Attributes conv(Ints pads, Ints strides = {1, 1}, I group = 1, Ints dilations = {1, 1}) {
  return attributes(
      {{"pads", pads}, {"strides", strides}, {"group", group}, {"dilations", dilations}});
}
model::Attributes pool(Ints kernel, Ints strides, Ints pads, I ceil = 0, I count_padding = -1) {
  model::Attributes result = attributes(
      {{"kernel_shape", kernel}, {"strides", strides}, {"pads", pads}, {"ceil_mode", ceil}});
  if (count_padding >= 0) result.set("count_include_pad", count_padding);
  return result;
}
model::Attributes resize(const char* mode, const char* place,
                         const char* nearest = "round_prefer_floor") {
  return attributes({{"mode", std::string(mode)},
                     {"coordinate_transformation_mode", std::string(place)},
                     {"nearest_mode", std::string(nearest)}});
}
model::Attributes axis(I value) { return attributes({{"axis", value}}); }
model::Attributes perm(Ints order) { return attributes({{"perm", order}}); }
model::Attributes grid(const char* mode, const char* padding, I align) {
  return attributes({{"mode", std::string(mode)},
                     {"padding_mode", std::string(padding)},
                     {"align_corners", align}});
}

std::vector<OpCase> make_cases() {
  const CaseInput x = activation({2, 8, 9, 7});
  const CaseInput x1 = activation({2, 6, 10});
  const CaseInput half = floats({4}, {1, 1, 0.5, 0.5});
  const CaseInput twice = floats({4}, {1, 1, 2, 2});
  return {
      {"stem 3x3 s2",
       "Conv",
       {activation({1, 3, 32, 32}), weight({16, 3, 3, 3}), weight({16})},
       conv({1, 1, 1, 1}, {2, 2})},
      {"pointwise", "Conv", {x, weight({16, 8, 1, 1}), weight({16})}, {}},
      {"depthwise 3x3",
       "Conv",
       {x, weight({8, 1, 3, 3}), weight({8})},
       conv({1, 1, 1, 1}, {1, 1}, 8)},
      {"depthwise 7x7 (ConvNeXt)",
       "Conv",
       {x, weight({8, 1, 7, 7})},
       conv({3, 3, 3, 3}, {1, 1}, 8)},
      {"grouped, uneven pads", "Conv", {x, weight({12, 2, 3, 3})}, conv({0, 1, 2, 1}, {2, 1}, 4)},
      {"odd everything",
       "Conv",
       {activation({3, 13, 17, 19}), weight({7, 13, 5, 5}), weight({7})},
       conv({2, 2, 2, 2}, {1, 1}, 1, {2, 2})},
      {"1x7 kernel", "Conv", {x, weight({4, 8, 1, 7})}, conv({0, 3, 0, 3})},
      {"patches 4x4 s4 (ViT)",
       "Conv",
       {activation({1, 3, 16, 16}), weight({24, 3, 4, 4}), weight({24})},
       conv({0, 0, 0, 0}, {4, 4})},
      {"one-dimensional", "Conv", {x1, weight({4, 6, 3})}, attributes({{"pads", Ints{1, 1}}})},
      {"2x2 s2",
       "ConvTranspose",
       {x, weight({8, 5, 2, 2}), weight({5})},
       attributes({{"strides", Ints{2, 2}}})},
      {"3x3 s2 padded",
       "ConvTranspose",
       {x, weight({8, 3, 3, 3})},
       attributes({{"strides", Ints{2, 2}},
                   {"pads", Ints{1, 1, 1, 1}},
                   {"output_padding", Ints{1, 1}},
                   {"group", I{2}}})},
      {"3x3 s1 on three channels",
       "Conv",
       {activation({2, 3, 9, 8}), weight({20, 3, 3, 3}), weight({20})},
       conv({1, 1, 1, 1})},
      {"two groups of four",
       "Conv",
       {x, weight({16, 4, 3, 3}), weight({16})},
       conv({1, 1, 1, 1}, {1, 1}, 2)},
      {"depthwise, odd channels",
       "Conv",
       {activation({2, 6, 9, 7}), weight({6, 1, 3, 3}), weight({6})},
       conv({1, 1, 1, 1}, {2, 2}, 6)},
      {"depthwise, dilated",
       "Conv",
       {activation({1, 16, 9, 9}), weight({16, 1, 3, 3})},
       conv({2, 2, 2, 2}, {1, 1}, 16, {2, 2})},
      {"patches that leave a rest",
       "Conv",
       {activation({2, 3, 14, 11}), weight({8, 3, 3, 3}), weight({8})},
       conv({0, 0, 0, 0}, {3, 3})},
      {"to one channel", "Conv", {x, weight({1, 8, 1, 1})}, {}},
      {"one-dimensional, grouped",
       "Conv",
       {activation({2, 16, 11}), weight({16, 8, 3}), weight({16})},
       attributes({{"pads", Ints{1, 1}}, {"strides", Ints{2}}, {"group", I{2}}})},
      {"volumes",
       "Conv",
       {activation({1, 4, 5, 6, 7}), weight({6, 4, 3, 2, 3}), weight({6})},
       attributes({{"pads", Ints{1, 0, 1, 1, 1, 1}}, {"strides", Ints{2, 1, 1}}})},
      {"4x4 s4 (depth)",
       "ConvTranspose",
       {activation({2, 8, 3, 4}), weight({8, 16, 4, 4}), weight({16})},
       attributes({{"strides", Ints{4, 4}}})},
      {"dilated",
       "ConvTranspose",
       {activation({1, 4, 5, 4}), weight({4, 6, 3, 2}), weight({6})},
       attributes(
           {{"strides", Ints{1, 3}}, {"dilations", Ints{2, 1}}, {"pads", Ints{0, 1, 2, 0}}})},
      {"one-dimensional",
       "ConvTranspose",
       {activation({2, 4, 5}), weight({4, 3, 4})},
       attributes({{"strides", Ints{2}}, {"pads", Ints{1, 1}}})},
      {"vector bias",
       "Gemm",
       {activation({5, 12}), weight({7, 12}), weight({7})},
       attributes({{"transB", I{1}}})},
      {"scaled",
       "Gemm",
       {activation({12, 5}), weight({12, 7}), weight({1, 7})},
       attributes({{"transA", I{1}}, {"alpha", 0.5F}, {"beta", 2.0F}})},
      {"matrix bias",
       "Gemm",
       {activation({5, 12}), activation({7, 12}), activation({5, 1})},
       attributes({{"transB", I{1}}, {"beta", 0.5F}})},
      {"two activations, both transposed",
       "Gemm",
       {activation({12, 5}), activation({7, 12})},
       attributes({{"transA", I{1}}, {"transB", I{1}}, {"alpha", 1.5F}})},
      {"odd inner size", "MatMul", {activation({2, 5, 13}), weight({13, 10})}, {}},
      {"vector left", "MatMul", {activation({8}), activation({3, 8, 6})}, {}},
      {"vector right", "MatMul", {activation({3, 5, 8}), activation({8})}, {}},
      {"vectors", "MatMul", {activation({8}), activation({8})}, {}},
      {"constant left", "MatMul", {weight({5, 8}), activation({2, 8, 6})}, {}},
      {"batched weights", "MatMul", {activation({2, 3, 5, 8}), weight({3, 8, 7})}, {}},
      {"larger than a tile", "MatMul", {activation({2, 70, 72}), activation({2, 72, 130})}, {}},
      {"batched", "MatMul", {activation({2, 3, 5, 8}), activation({2, 3, 8, 6})}, {}},
      {"broadcast weights", "MatMul", {activation({2, 5, 8}), weight({8, 6})}, {}},
      {"broadcast heads", "MatMul", {activation({2, 3, 4, 8}), activation({2, 1, 8, 4})}, {}},
      {"attention scores",
       "Einsum",
       {activation({2, 3, 4, 5}), activation({2, 3, 6, 5})},
       attributes({{"equation", std::string("bhqd,bhkd->bhqk")}})},
      {"outer product",
       "Einsum",
       {activation({2, 3}), activation({2, 4})},
       attributes({{"equation", std::string("bi,bj->bij")}})},
      {"merged sum, output turned",
       "Einsum",
       {activation({2, 3, 4, 5}), activation({3, 4, 6})},
       attributes({{"equation", std::string("bcdq,cdk->kbq")}})},
      {"diagonal",
       "Einsum",
       {activation({4, 4}), activation({4, 5})},
       attributes({{"equation", std::string("ii,ik->k")}})},
      {"sum of one operand",
       "Einsum",
       {activation({4, 3}), activation({5})},
       attributes({{"equation", std::string("ij,k->ik")}})},
      {"ellipsis",
       "Einsum",
       {activation({2, 1, 4, 5}), activation({3, 5, 6})},
       attributes({{"equation", std::string("...ij,...jk->...ik")}})},
      {"3x3 s2", "MaxPool", {x}, pool({3, 3}, {2, 2}, {1, 1, 1, 1})},
      {"5x5 s1 (SPPF)", "MaxPool", {x}, pool({5, 5}, {1, 1}, {2, 2, 2, 2})},
      {"ceil", "MaxPool", {x}, pool({2, 2}, {2, 2}, {0, 0, 0, 0}, 1)},
      {"without padding", "AveragePool", {x}, pool({3, 3}, {2, 2}, {1, 1, 1, 1}, 0, 0)},
      {"with padding", "AveragePool", {x}, pool({3, 3}, {1, 1}, {1, 1, 1, 1}, 0, 1)},
      {"odd channels, FP32 window",
       "MaxPool",
       {activation({2, 5, 8, 9})},
       pool({3, 2}, {2, 1}, {1, 0, 0, 1})},
      {"dilated",
       "MaxPool",
       {x},
       attributes({{"kernel_shape", Ints{2, 3}}, {"dilations", Ints{3, 2}}})},
      {"one-dimensional", "MaxPool", {x1}, pool({3}, {2}, {1, 0})},
      {"volumes",
       "AveragePool",
       {activation({1, 3, 4, 5, 6})},
       pool({2, 3, 2}, {1, 2, 2}, {0, 1, 0, 0, 1, 0})},
      {"ceil with padding", "AveragePool", {x}, pool({3, 3}, {2, 2}, {1, 0, 1, 0}, 1, 1)},
      {"power three", "LpPool", {x}, attributes({{"kernel_shape", Ints{3, 2}}, {"p", I{3}}})},
      {"large", "GlobalAveragePool", {activation({2, 24, 19, 17})}, {}},
      {"odd channels", "GlobalMaxPool", {activation({2, 5, 19, 17})}, {}},
      {"norm", "GlobalLpPool", {x}, {}},
      {"whole", "GlobalAveragePool", {x}, {}},
      {"whole", "GlobalMaxPool", {x}, {}},
      {"inference",
       "BatchNormalization",
       {x, weight({8}), weight({8}), weight({8}), floats({8}, {1, 2, 3, 1, 2, 3, 1, 2})},
       {}},
      {"tokens",
       "LayerNormalization",
       {x1, weight({10}), weight({10})},
       attributes({{"axis", I{-1}}, {"epsilon", 1e-6F}})},
      {"pictures", "InstanceNormalization", {x, weight({8}), weight({8})}, {}},
      {"last axis", "Softmax", {x1}, axis(-1)},
      {"channels (DFL)", "Softmax", {activation({2, 16, 4, 5})}, axis(1)},
      {"log", "LogSoftmax", {x1}, axis(1)},
      {"hard", "Hardmax", {x1}, axis(1)},
      {"rows of a ViT-B",
       "LayerNormalization",
       {activation({3, 768}), weight({768}), weight({768})},
       {}},
      {"middle axes",
       "LayerNormalization",
       {activation({2, 3, 4, 5}), weight({4, 5}), weight({4, 5})},
       axis(-2)},
      {"long rows", "Softmax", {activation({3, 2500})}, axis(-1)},
      {"sum of magnitudes", "LpNormalization", {x}, attributes({{"axis", I{1}}, {"p", I{1}}})},
      {"pictures", "MeanVarianceNormalization", {x}, attributes({{"axes", Ints{0, 2, 3}}})},
      {"across channels",
       "LRN",
       {x},
       attributes({{"size", I{5}}, {"alpha", 0.1F}, {"beta", 0.75F}, {"bias", 2.0F}})},
      {"unit length", "LpNormalization", {x1}, attributes({{"axis", I{-1}}, {"p", I{2}}})},
      {"relu", "Relu", {x}, {}},
      {"leaky", "LeakyRelu", {x}, attributes({{"alpha", 0.1F}})},
      {"elu", "Elu", {x}, {}},
      {"sigmoid", "Sigmoid", {x}, {}},
      {"tanh", "Tanh", {x}, {}},
      {"erf", "Erf", {x}, {}},
      {"softplus", "Softplus", {x}, {}},
      {"hard sigmoid", "HardSigmoid", {x}, attributes({{"alpha", 1.0F / 6}})},
      {"hard swish", "HardSwish", {x}, {}},
      {"mish", "Mish", {x}, {}},
      {"gelu", "Gelu", {x}, {}},
      {"gelu tanh", "Gelu", {x}, attributes({{"approximate", std::string("tanh")}})},
      {"prelu", "PRelu", {x, weight({8, 1, 1})}, {}},
      {"relu6", "Clip", {x, floats({}, {0}), floats({}, {0.5})}, {}},
      {"exp", "Exp", {x}, {}},
      {"log", "Log", {positive({2, 5})}, {}},
      {"sqrt", "Sqrt", {positive({2, 5})}, {}},
      {"reciprocal", "Reciprocal", {positive({2, 5})}, {}},
      {"sin", "Sin", {x}, {}},
      {"cos", "Cos", {x}, {}},
      {"floor", "Floor", {x}, {}},
      {"ceil", "Ceil", {x}, {}},
      {"round", "Round", {x}, {}},
      {"sign", "Sign", {x}, {}},
      {"abs", "Abs", {x}, {}},
      {"acos", "Acos", {floats({4}, {-0.9, -0.1, 0.2, 0.99})}, {}},
      {"asin", "Asin", {floats({4}, {-0.9, -0.1, 0.2, 0.99})}, {}},
      {"acosh", "Acosh", {floats({3}, {1, 1.5, 20})}, {}},
      {"asinh", "Asinh", {x}, {}},
      {"atan", "Atan", {x}, {}},
      {"atanh", "Atanh", {floats({4}, {-0.9, -0.1, 0.2, 0.9})}, {}},
      {"celu", "Celu", {x}, attributes({{"alpha", 0.5F}})},
      {"cosh", "Cosh", {x}, {}},
      {"neg", "Neg", {x}, {}},
      {"selu", "Selu", {x}, {}},
      {"shrink", "Shrink", {x}, attributes({{"lambd", 0.4F}, {"bias", 0.1F}})},
      {"sinh", "Sinh", {x}, {}},
      {"softsign", "Softsign", {x}, {}},
      {"tan", "Tan", {floats({5}, {-1.2, -0.4, 0, 0.7, 1.3})}, {}},
      {"thresholded relu", "ThresholdedRelu", {x}, attributes({{"alpha", 0.3F}})},
      {"channels", "Add", {x, weight({8, 1, 1})}, {}},
      {"outer", "Mul", {activation({3, 1, 5}), activation({1, 4, 1})}, {}},
      {"sub", "Sub", {x, x}, {}},
      {"div", "Div", {activation({2, 5}), positive({2, 5})}, {}},
      {"square", "Pow", {x, floats({}, {2})}, {}},
      {"max", "Max", {activation({2, 5}), activation({2, 5})}, {}},
      {"min", "Min", {activation({2, 5}), activation({5})}, {}},
      {"of three", "Max", {activation({2, 5}), activation({5}), activation({2, 1})}, {}},
      {"of three", "Mean", {activation({2, 5}), activation({5}), activation({2, 1})}, {}},
      {"of three", "Sum", {x, x, activation({8, 1, 1})}, {}},
      {"remainder", "Mod", {activation({2, 6}), positive({2, 6})}, attributes({{"fmod", I{1}}})},
      {"any exponent", "Pow", {positive({2, 6}), activation({6})}, {}},
      {"root", "Pow", {positive({2, 6}), floats({}, {0.5})}, {}},
      {"reversed", "Sub", {floats({}, {1}), x}, {}},
      {"reversed", "Div", {floats({}, {1}), positive({2, 6})}, {}},
      {"scalar slope", "PRelu", {x, floats({1}, {0.2})}, {}},
      {"below", "Clip", {x, absent(), floats({}, {0.5})}, {}},
      {"mean kept", "ReduceMean", {x, ints({2, 3})}, {}},
      {"sum", "ReduceSum", {x, ints({1})}, attributes({{"keepdims", I{0}}})},
      {"max", "ReduceMax", {x, ints({-1})}, {}},
      {"norm", "ReduceL2", {x, ints({1})}, {}},
      {"log sum exp", "ReduceLogSumExp", {x1, ints({-1})}, {}},
      {"sum of magnitudes", "ReduceL1", {x, ints({1, 3})}, {}},
      {"log of the sum", "ReduceLogSum", {positive({2, 6, 10}), ints({1})}, {}},
      {"min", "ReduceMin", {x, ints({0, 2})}, attributes({{"keepdims", I{0}}})},
      {"product", "ReduceProd", {x1, ints({1})}, {}},
      {"squares", "ReduceSumSquare", {x, ints({2, 3})}, attributes({{"keepdims", I{0}}})},
      {"everything", "ReduceMean", {x1}, attributes({{"keepdims", I{0}}})},
      {"long rows", "ReduceSum", {activation({2, 3000}), ints({1})}, {}},
      {"nearest 2x (YOLO)",
       "Resize",
       {x, absent(), twice},
       resize("nearest", "asymmetric", "floor")},
      {"nearest half pixel", "Resize", {x, absent(), twice}, resize("nearest", "half_pixel")},
      {"linear half pixel",
       "Resize",
       {x, absent(), absent(), ints({2, 8, 13, 20})},
       resize("linear", "half_pixel")},
      {"linear aligned",
       "Resize",
       {x, absent(), absent(), ints({2, 8, 18, 14})},
       resize("linear", "align_corners")},
      {"linear down",
       "Resize",
       {activation({1, 2, 8, 8}), absent(), half},
       resize("linear", "pytorch_half_pixel")},
      {"cubic",
       "Resize",
       {x, absent(), absent(), ints({2, 8, 12, 11})},
       resize("cubic", "half_pixel")},
      {"linear, one axis",
       "Resize",
       {x, absent(), floats({4}, {1, 1, 1, 1.5})},
       resize("linear", "asymmetric")},
      {"nearest down",
       "Resize",
       {x, absent(), absent(), ints({2, 8, 4, 3})},
       resize("nearest", "asymmetric", "ceil")},
      {"cubic aligned",
       "Resize",
       {x, absent(), absent(), ints({2, 8, 18, 5})},
       resize("cubic", "align_corners")},
      {"linear volume",
       "Resize",
       {activation({1, 2, 3, 4, 5}), absent(), absent(), ints({1, 2, 5, 6, 7})},
       resize("linear", "half_pixel")},
      {"averages",
       "RoiAlign",
       {x, floats({2, 4}, {0.5, 1, 6, 7.5, 1, 2, 3, 4}), indices({2}, {0, 1})},
       attributes({{"output_height", I{3}},
                   {"output_width", I{2}},
                   {"sampling_ratio", I{2}},
                   {"spatial_scale", 0.75F},
                   {"coordinate_transformation_mode", std::string("half_pixel")}})},
      {"bilinear zeros",
       "GridSample",
       {activation({2, 3, 6, 5}), activation({2, 4, 3, 2})},
       grid("linear", "zeros", 0)},
      {"bilinear border aligned",
       "GridSample",
       {activation({2, 3, 6, 5}), activation({2, 4, 3, 2})},
       grid("linear", "border", 1)},
      {"nearest reflection",
       "GridSample",
       {activation({1, 3, 6, 5}), activation({1, 4, 3, 2})},
       grid("nearest", "reflection", 0)},
      {"cubic zeros",
       "GridSample",
       {activation({1, 3, 6, 5}), activation({1, 4, 3, 2})},
       grid("cubic", "zeros", 1)},
      {"channels", "Concat", {activation({2, 3, 4, 4}), activation({2, 5, 4, 4})}, axis(1)},
      {"halves", "Split", {x, ints({3, 5})}, axis(1), 2},
      {"rows, backwards", "Slice", {x, ints({-1}), ints({-9}), ints({2}), ints({-2})}, {}},
      {"focus",
       "Slice",
       {activation({1, 3, 8, 8}), ints({0, 1}), ints({8, 8}), ints({2, 3}), ints({2, 2})},
       {}},
      {"to tokens", "Transpose", {x}, perm({0, 2, 3, 1})},
      {"flat", "Reshape", {x, ints({0, 8, -1})}, {}},
      {"constant", "Pad", {x, ints({0, 0, 1, 2, 0, 0, 2, 1})}, {}},
      {"value and crop", "Pad", {x, ints({0, 0, -1, 2, 0, 0, 2, -1}), floats({}, {-2.5})}, {}},
      {"reflect",
       "Pad",
       {x, ints({0, 0, 1, 2, 0, 0, 2, 1})},
       attributes({{"mode", std::string("reflect")}})},
      {"edge",
       "Pad",
       {x, ints({0, 0, 1, 2, 0, 0, 2, 1})},
       attributes({{"mode", std::string("edge")}})},
      {"expand", "Expand", {activation({1, 3, 1}), ints({2, 3, 4})}, {}},
      {"tile", "Tile", {activation({2, 3}), ints({2, 3})}, {}},
      {"rows", "Gather", {x1, ints({5, 0, -1})}, axis(1)},
      {"rows, evenly spaced", "Gather", {x1, ints({4, 2, 0})}, axis(1)},
      {"pixels", "Gather", {x, ints({5, 0, -1, 0})}, axis(-1)},
      {"batches",
       "GatherND",
       {activation({2, 3, 4}), indices({2, 2, 1}, {2, 0, 1, 1})},
       attributes({{"batch_dims", I{1}}})},
      {"pairs", "GatherND", {activation({3, 4, 5}), indices({3, 2}, {2, 0, 0, 3, 1, 1})}, {}},
      {"columns",
       "GatherElements",
       {activation({2, 3, 4}), indices({2, 3, 2}, {3, 0, 1, 1, 2, 0, 0, 3, 2, 2, 1, 3})},
       axis(-1)},
      {"rows", "ScatterND", {activation({4, 5}), indices({2, 1}, {3, 1}), activation({2, 5})}, {}},
      {"sums",
       "ScatterND",
       {activation({4, 5}), indices({3, 1}, {3, 1, 3}), activation({3, 5})},
       attributes({{"reduction", std::string("add")}})},
      {"columns",
       "ScatterElements",
       {activation({2, 4}), indices({2, 2}, {3, 0, 1, 2}), activation({2, 2})},
       axis(1)},
      {"largest products",
       "ScatterElements",
       {activation({3, 2}), indices({2, 2}, {2, 0, 2, 1}), activation({2, 2})},
       attributes({{"axis", I{0}}, {"reduction", std::string("max")}})},
      {"hot",
       "OneHot",
       {indices({2, 3}, {0, 2, 1, 4, 3, 3}), floats({}, {5}), floats({2}, {-1, 3})},
       axis(1)},
      {"shuffle",
       "DepthToSpace",
       {activation({1, 8, 3, 2})},
       attributes({{"blocksize", I{2}}, {"mode", std::string("CRD")}})},
      {"unshuffle", "SpaceToDepth", {activation({1, 2, 4, 6})}, attributes({{"blocksize", I{2}}})},
      {"shuffle, depth first",
       "DepthToSpace",
       {activation({2, 16, 3, 2})},
       attributes({{"blocksize", I{2}}})},
      {"lower", "Trilu", {activation({2, 5, 6})}, attributes({{"upper", I{0}}})},
      {"upper", "Trilu", {activation({5, 6})}, attributes({{"upper", I{1}}})},
      {"running", "CumSum", {x1, ints({1})}, attributes({{"exclusive", I{1}}})},
      {"from the end",
       "CumSum",
       {activation({3, 70}), ints({-1})},
       attributes({{"reverse", I{1}}})},
  };
}

// append, not +: GCC 12 sees an overlap in operator+ that is not there (bug 105651).
std::string indexed(const char* stem, std::size_t i) {
  return std::string(stem).append(std::to_string(i));
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = make_cases();
  return cases;
}

ModelBuilder build_case(const OpCase& row) {
  ModelBuilder model(20);
  std::vector<std::string> inputs;
  for (std::size_t i = 0; i < row.inputs.size(); ++i) {
    const CaseInput& input = row.inputs[i];
    inputs.push_back(input.kind == CaseInput::Kind::kAbsent ? std::string() : indexed("x", i));
    switch (input.kind) {
      case CaseInput::Kind::kActivation:
      case CaseInput::Kind::kPositive: model.input(inputs.back(), input.shape); break;
      case CaseInput::Kind::kWeight:
        model.weights(inputs.back(), input.shape, static_cast<unsigned>(i) + 1, 0.3F);
        break;
      case CaseInput::Kind::kInts:
        model.ints(inputs.back(), Ints(input.values.begin(), input.values.end()));
        break;
      case CaseInput::Kind::kIndices:
        model.constant(inputs.back(),
                       Tensor::of<I>(Ints(input.values.begin(), input.values.end()), input.shape));
        break;
      case CaseInput::Kind::kFloats:
        model.floats(inputs.back(), input.shape,
                     std::vector<float>(input.values.begin(), input.values.end()));
        break;
      case CaseInput::Kind::kAbsent: break;
    }
  }
  std::vector<std::string> outputs;
  for (int i = 0; i < row.outputs; ++i)
    outputs.push_back(indexed("y", static_cast<std::size_t>(i)));
  model.node(row.op, inputs, outputs, row.attributes);
  for (const std::string& name : outputs) model.output(name);
  return model;
}

std::vector<Tensor> case_inputs(const OpCase& row) {
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < row.inputs.size(); ++i) {
    const CaseInput& input = row.inputs[i];
    const bool positive = input.kind == CaseInput::Kind::kPositive;
    if (input.kind != CaseInput::Kind::kActivation && !positive) continue;
    tensors.push_back(noise(input.shape, static_cast<unsigned>(i) + 100));
    for (float& value : tensors.back().as<float>()) {
      if (positive) value = std::abs(value) + 0.1F;
    }
  }
  return tensors;
}

}  // namespace peregrine::testing
