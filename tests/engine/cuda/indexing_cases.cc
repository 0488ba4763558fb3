// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/indexing_cases.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <ostream>
#include <random>

#include <gtest/gtest.h>

#include "model/convert.h"
#include "model/shape_inference.h"

namespace peregrine::testing {
namespace {

using model::Ints;
using I = std::int64_t;
using S = std::string;

IndexingInput activation(Tensor tensor) {
  return {IndexingInput::Kind::kActivation, std::make_shared<Tensor>(std::move(tensor))};
}
IndexingInput constant(Tensor tensor) {
  return {IndexingInput::Kind::kConstant, std::make_shared<Tensor>(std::move(tensor))};
}
IndexingInput absent() { return {IndexingInput::Kind::kAbsent, nullptr}; }

// Values that half precision holds exactly, so that both engines compute from the same numbers.
Tensor halves(const Shape& shape, unsigned seed = 1) {
  return model::convert(model::convert(noise(shape, seed), DType::kFloat16), DType::kFloat32);
}
// Few different values: ties.
Tensor coarse(const Shape& shape, unsigned seed = 1) {
  Tensor tensor = noise(shape, seed);
  for (float& value : tensor.as<float>()) value = std::round(value * 2) / 2;
  return tensor;
}
Tensor ints(const Ints& values, const Shape& shape) { return Tensor::of<I>(values, shape); }
Tensor ints(const Ints& values) { return ints(values, {static_cast<I>(values.size())}); }
// Uniform in [low, high).
Tensor indices(const Shape& shape, I low, I high, unsigned seed = 3) {
  std::mt19937 random(seed);
  Ints values(static_cast<std::size_t>(element_count(shape)));
  for (I& value : values)
    value = low + static_cast<I>(random() % static_cast<unsigned>(high - low));
  return ints(values, shape);
}
Tensor as(DType dtype, const Tensor& tensor) { return model::convert(tensor, dtype); }
Tensor floats(const std::vector<float>& values, const Shape& shape) {
  return Tensor::of<float>(values, shape);
}
model::Attributes axis(I value) { return attributes({{"axis", value}}); }
model::Attributes scatter(const char* reduction, I axis = 0) {
  return attributes({{"axis", axis}, {"reduction", S(reduction)}});
}
model::Attributes mode(const char* name) { return attributes({{"mode", S(name)}}); }

void add_movement(std::vector<IndexingCase>& cases) {
  const IndexingInput x = activation(halves({2, 16, 9, 7}));
  const auto pads = [](Ints values) { return constant(ints(values)); };
  for (const char* each : {"constant", "reflect", "edge", "wrap"}) {
    cases.push_back({S("pixels ") + each, "Pad", {x, pads({0, 0, 2, 3, 0, 0, 1, 2})}, mode(each)});
  }
  cases.push_back({"all axes", "Pad", {x, pads({1, 1, 1, 1, 1, 2, 3, 4})}, {}});
  cases.push_back({"channels", "Pad", {x, pads({0, 8, 0, 0, 0, 8, 0, 0})}, {}});
  cases.push_back({"cropped", "Pad", {x, pads({0, 0, -2, 1, 0, 0, -1, -3})}, {}});
  cases.push_back({"only cropped", "Pad", {x, pads({0, 0, -2, -1, 0, 0, -1, -3})}, {}});
  cases.push_back(
      {"value", "Pad", {x, pads({0, 0, 1, 1, 0, 0, 1, 1}), constant(floats({-2.5F}, {}))}, {}});
  cases.push_back(
      {"some axes", "Pad", {x, pads({1, 2}), absent(), constant(ints({-1}))}, mode("edge")});
  cases.push_back({"five axes",
                   "Pad",
                   {activation(halves({2, 2, 2, 2, 2})), pads({1, 0, 1, 0, 1, 0, 1, 0, 1, 2})},
                   mode("wrap")});
  cases.push_back({"bytes",
                   "Pad",
                   {activation(as(DType::kUint8, indices({2, 3, 5}, 0, 200))),
                    pads({0, 1, 1, 0, 1, 2}), constant(as(DType::kUint8, ints({7})))},
                   {}});
  cases.push_back({"int64", "Pad", {activation(indices({3, 4}, -9, 9)), pads({1, 1, 0, 2})}, {}});
  cases.push_back({"pixels", "Tile", {x, constant(ints({1, 1, 2, 3}))}, {}});
  cases.push_back({"every axis of five",
                   "Tile",
                   {activation(halves({2, 2, 2, 2, 2})), constant(ints({2, 3, 2, 2, 2}))},
                   {}});
  for (const char* each : {"DCR", "CRD"}) {
    cases.push_back({each,
                     "DepthToSpace",
                     {activation(halves({2, 32, 3, 5}))},
                     attributes({{"blocksize", I{2}}, {"mode", S(each)}})});
    cases.push_back({S("three ") + each,
                     "DepthToSpace",
                     {activation(halves({1, 9, 3, 5}))},
                     attributes({{"blocksize", I{3}}, {"mode", S(each)}})});
  }
  cases.push_back({"two",
                   "SpaceToDepth",
                   {activation(halves({2, 8, 6, 4}))},
                   attributes({{"blocksize", I{2}}})});
  cases.push_back({"larger and smaller",
                   "CenterCropPad",
                   {x, constant(ints({12, 4}))},
                   attributes({{"axes", Ints{-2, 3}}})});
  cases.push_back({"all axes", "CenterCropPad", {x, constant(ints({3, 9, 12, 4}))}, {}});
  for (const I time : {0, 1}) {
    cases.push_back({"time " + std::to_string(time),
                     "ReverseSequence",
                     {activation(halves({4, 4, 3})), activation(ints({1, 4, 0, 3}))},
                     attributes({{"time_axis", time}, {"batch_axis", 1 - time}})});
  }
  for (const I upper : {0, 1}) {
    for (const I k : {-2, 0, 3}) {
      cases.push_back({std::to_string(upper) + " " + std::to_string(k),
                       "Trilu",
                       {activation(halves({2, 5, 6})), constant(ints({k}, {}))},
                       attributes({{"upper", upper}})});
    }
  }
  cases.push_back({"bool", "Trilu", {activation(as(DType::kBool, indices({4, 4}, 0, 2)))}, {}});
  const auto off_on = constant(floats({-1, 3}, {2}));
  const auto depth = constant(ints({5}, {}));
  cases.push_back({"last axis", "OneHot", {activation(indices({2, 3}, -5, 7)), depth, off_on}, {}});
  cases.push_back({"first axis",
                   "OneHot",
                   {activation(as(DType::kInt32, indices({2, 3}, 0, 5))), depth, off_on},
                   axis(0)});
  cases.push_back({"float indices",
                   "OneHot",
                   {activation(as(DType::kFloat32, indices({2, 3}, 0, 5))), depth, off_on},
                   axis(1)});
}

void add_gathers(std::vector<IndexingCase>& cases) {
  const IndexingInput x = activation(halves({2, 16, 9, 8}));
  for (const I each : {0, 1, 2, -1}) {
    cases.push_back({"axis " + std::to_string(each),
                     "Gather",
                     {x, activation(indices({2, 3}, -2, 2))},
                     axis(each)});
    cases.push_back({"known, axis " + std::to_string(each),
                     "Gather",
                     {x, constant(ints({1, 0, -1, 0}, {2, 2}))},
                     axis(each)});
    cases.push_back({"strided, axis " + std::to_string(each),
                     "Gather",
                     {x, constant(ints({-1, -2}))},
                     axis(each)});
    cases.push_back(
        {"one, axis " + std::to_string(each), "Gather", {x, constant(ints({1}, {}))}, axis(each)});
  }
  cases.push_back(
      {"int32 scalar",
       "Gather",
       {activation(indices({5, 3}, -9, 9)), activation(as(DType::kInt32, ints({2}, {})))},
       axis(0)});
  cases.push_back({"embedding",
                   "Gather",
                   {constant(halves({11, 24})), activation(indices({2, 5}, 0, 11))},
                   axis(0)});
  cases.push_back({"bool",
                   "Gather",
                   {activation(as(DType::kBool, indices({7}, 0, 2))), activation(ints({3, -1, 0}))},
                   axis(0)});
  for (const I each : {0, 1, 2}) {
    cases.push_back({"axis " + std::to_string(each),
                     "GatherElements",
                     {activation(halves({4, 5, 6})), activation(indices({3, 4, 5}, -4, 4))},
                     axis(each)});
  }
  cases.push_back({"elements", "GatherND", {x, activation(indices({3, 4}, 0, 2))}, {}});
  cases.push_back({"rows", "GatherND", {x, activation(indices({3, 2, 1}, -2, 2))}, {}});
  cases.push_back({"pairs", "GatherND", {x, activation(indices({5, 2}, 0, 2))}, {}});
  cases.push_back({"batches",
                   "GatherND",
                   {x, activation(indices({2, 5, 2}, -9, 8))},
                   attributes({{"batch_dims", I{1}}})});
  cases.push_back({"known",
                   "GatherND",
                   {x, constant(indices({2, 16, 3, 1}, -9, 9))},
                   attributes({{"batch_dims", I{2}}})});
  const Tensor keep = as(DType::kBool, ints({1, 0, 0, 1, 1}));
  cases.push_back(
      {"rows", "Compress", {activation(halves({6, 4})), constant(keep.clone())}, axis(0)});
  cases.push_back({"flat", "Compress", {activation(halves({6, 4})), constant(keep.clone())}, {}});
}

void add_scatters(std::vector<IndexingCase>& cases) {
  for (const char* each : {"none", "add", "mul", "max", "min"}) {
    for (const bool known : {false, true}) {
      const auto place = [&](Tensor tensor) {
        return known ? constant(std::move(tensor)) : activation(std::move(tensor));
      };
      const S name = S(each) + (known ? ", known" : "");
      for (const I at : {0, 1, -1}) {
        cases.push_back({name + ", axis " + std::to_string(at),
                         "ScatterElements",
                         {activation(halves({5, 6, 7})), place(indices({4, 5, 6}, -5, 5)),
                          activation(halves({4, 5, 6}, 2))},
                         scatter(each, at)});
      }
      cases.push_back({name,
                       "ScatterND",
                       {activation(halves({5, 6, 8})), place(indices({3, 4, 2}, -5, 5)),
                        activation(halves({3, 4, 8}, 2))},
                       scatter(each)});
      cases.push_back({name + ", int64",
                       "ScatterND",
                       {activation(indices({9}, -9, 9)), place(indices({30, 1}, 0, 9)),
                        activation(indices({30}, -3, 4))},
                       scatter(each)});
    }
  }
  cases.push_back({"distinct",
                   "ScatterND",
                   {activation(halves({2, 6, 8})), constant(ints({0, 3, 1, 5}, {2, 2})),
                    activation(halves({2, 8}, 2))},
                   scatter("add")});
  cases.push_back({"mask",
                   "ScatterElements",
                   {activation(as(DType::kBool, indices({4, 4}, 0, 2))),
                    activation(as(DType::kInt32, indices({2, 4}, 0, 4))),
                    activation(as(DType::kBool, indices({2, 4}, 0, 2, 5)))},
                   scatter("none")});
}

model::Attributes top(I axis, I largest) {
  return attributes({{"axis", axis}, {"largest", largest}});
}

void add_orders(std::vector<IndexingCase>& cases) {
  const auto k = [](I count) { return constant(ints({count})); };
  for (const I largest : {0, 1}) {
    const S order = largest ? "largest" : "smallest";
    for (const I each : {0, 1, -1}) {
      cases.push_back({order + " axis " + std::to_string(each),
                       "TopK",
                       {activation(coarse({7, 20, 9})), k(5)},
                       top(each, largest),
                       2});
    }
    cases.push_back(
        {order + " of many", "TopK", {activation(halves({2, 3000})), k(300)}, top(-1, largest), 2});
    cases.push_back({order + " ties of many",
                     "TopK",
                     {activation(coarse({2, 3000})), k(300)},
                     top(-1, largest),
                     2});
    cases.push_back({order + " all equal",
                     "TopK",
                     {activation(Tensor::zeros(DType::kFloat32, {1, 70000})), k(700)},
                     top(-1, largest),
                     2});
    cases.push_back({order + " all of many",
                     "TopK",
                     {activation(coarse({2, 700})), k(700)},
                     top(-1, largest),
                     2});
    cases.push_back({order + " int64",
                     "TopK",
                     {activation(indices({3, 50}, -9, 9)), k(20)},
                     top(-1, largest),
                     2});
    cases.push_back({order + " int32",
                     "TopK",
                     {activation(as(DType::kInt32, indices({3, 900}, -99, 99))), k(50)},
                     top(-1, largest),
                     2});
  }
  cases.push_back(
      {"detector's anchors", "TopK", {activation(halves({1, 300000})), k(900)}, top(-1, 1), 2});
  cases.push_back({"more than shared memory holds",
                   "TopK",
                   {activation(halves({2, 20000})), k(5000)},
                   top(-1, 1),
                   2});
}

model::Attributes resize(const char* mode, const char* place, model::Attributes more = {}) {
  more.set("mode", S(mode));
  more.set("coordinate_transformation_mode", S(place));
  return more;
}

void add_samplings(std::vector<IndexingCase>& cases) {
  const IndexingInput x = activation(halves({2, 16, 9, 7}));
  const auto sizes = [](Ints values) { return constant(ints(values)); };
  const auto scales = [](std::vector<float> values) {
    const I count = static_cast<I>(values.size());
    return constant(floats(values, {count}));
  };
  for (const char* place : {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel",
                            "half_pixel_symmetric"}) {
    for (const char* kind : {"nearest", "linear", "cubic"}) {
      cases.push_back({S(kind) + " " + place + " up",
                       "Resize",
                       {x, absent(), absent(), sizes({2, 16, 13, 20})},
                       resize(kind, place)});
      cases.push_back({S(kind) + " " + place + " down",
                       "Resize",
                       {x, absent(), scales({1, 1, 0.6F, 0.45F})},
                       resize(kind, place)});
    }
    cases.push_back({S("twice ") + place,
                     "Resize",
                     {x, absent(), scales({1, 1, 2, 2})},
                     resize("nearest", place, attributes({{"nearest_mode", S("floor")}}))});
  }
  for (const char* rounding : {"round_prefer_ceil", "ceil", "floor"}) {
    cases.push_back({S("nearest ") + rounding,
                     "Resize",
                     {x, absent(), scales({1, 1, 1.5F, 0.5F})},
                     resize("nearest", "half_pixel", attributes({{"nearest_mode", S(rounding)}}))});
  }
  for (const char* kind : {"nearest", "linear", "cubic"}) {
    cases.push_back(
        {S(kind) + " cropped",
         "Resize",
         {x, constant(floats({0, 0, 0.2F, -0.3F, 1, 1, 0.7F, 1.2F}, {8})), absent(),
          sizes({2, 16, 6, 11})},
         resize(kind, "tf_crop_and_resize", attributes({{"extrapolation_value", 2.5F}}))});
    cases.push_back({S(kind) + " one axis",
                     "Resize",
                     {x, absent(), absent(), sizes({15})},
                     resize(kind, "half_pixel", attributes({{"axes", Ints{-1}}}))});
    cases.push_back(
        {S(kind) + " volume",
         "Resize",
         {activation(halves({1, 4, 3, 4, 5})), absent(), absent(), sizes({1, 4, 5, 3, 7})},
         resize(kind, "half_pixel")});
  }
  cases.push_back({"antialiased",
                   "Resize",
                   {x, absent(), scales({1, 1, 0.4F, 0.3F})},
                   resize("linear", "half_pixel", attributes({{"antialias", I{1}}}))});
  cases.push_back({"antialiased cubic",
                   "Resize",
                   {x, absent(), scales({1, 1, 0.6F, 1.5F})},
                   resize("cubic", "half_pixel",
                          attributes({{"antialias", I{1}}, {"exclude_outside", I{1}}}))});
  cases.push_back(
      {"not larger",
       "Resize",
       {x, absent(), absent(), sizes({20, 20})},
       resize("linear", "half_pixel",
              attributes({{"axes", Ints{2, 3}}, {"keep_aspect_ratio_policy", S("not_larger")}}))});
  cases.push_back({"bytes to the nearest",
                   "Resize",
                   {activation(as(DType::kUint8, indices({1, 3, 4, 4}, 0, 200))), absent(),
                    scales({1, 1, 1.5F, 2})},
                   resize("nearest", "asymmetric")});
  for (const char* kind : {"linear", "nearest", "cubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (const I align : {0, 1}) {
        const auto how =
            attributes({{"mode", S(kind)}, {"padding_mode", S(padding)}, {"align_corners", align}});
        const S name = S(kind) + " " + padding + (align ? " aligned" : "");
        cases.push_back({name, "GridSample", {x, activation(halves({2, 4, 3, 2}, 5))}, how});
        cases.push_back({name + " odd channels",
                         "GridSample",
                         {activation(halves({2, 11, 6, 5})), activation(halves({2, 4, 3, 2}, 5))},
                         how});
        cases.push_back(
            {name + " volume",
             "GridSample",
             {activation(halves({1, 3, 4, 5, 6})), activation(halves({1, 2, 3, 2, 3}, 5))},
             how});
      }
    }
  }
  const Tensor boxes =
      floats({0.5F, 1, 6, 7.5F, -2, 1, 3, 4, 4, 5, 4.25F, 5.5F, 2, 2, 12, 12}, {4, 4});
  for (const char* kind : {"avg", "max"}) {
    for (const char* place : {"half_pixel", "output_half_pixel"}) {
      for (const I ratio : {0, 2}) {
        cases.push_back({S(kind) + " " + place + " " + std::to_string(ratio),
                         "RoiAlign",
                         {x, activation(boxes.clone()), activation(ints({0, 1, 1, 0}))},
                         attributes({{"mode", S(kind)},
                                     {"coordinate_transformation_mode", S(place)},
                                     {"sampling_ratio", ratio},
                                     {"output_height", I{3}},
                                     {"output_width", I{2}},
                                     {"spatial_scale", 0.75F}})});
      }
    }
  }
}

void add_quantizations(std::vector<IndexingCase>& cases) {
  const IndexingInput x = activation(halves({2, 4, 6}));
  const Tensor scales = floats({0.01F, 0.02F, 0.5F, 0.25F}, {4});
  for (const DType each : {DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16}) {
    const Tensor zeros = as(each, ints({0, 3, 7, 1}));
    const Tensor levels = as(each, indices({2, 4, 6}, 0, 100));
    const S name = to_string(each);
    cases.push_back(
        {name, "QuantizeLinear", {x, constant(scales.clone()), constant(zeros.clone())}, axis(1)});
    cases.push_back(
        {name,
         "DequantizeLinear",
         {activation(levels.clone()), constant(scales.clone()), constant(zeros.clone())},
         axis(1)});
  }
  cases.push_back({"one scale", "QuantizeLinear", {x, constant(floats({0.125F}, {}))}, {}});
  cases.push_back(
      {"int32",
       "DequantizeLinear",
       {activation(as(DType::kInt32, indices({3, 5}, -999, 999))), constant(floats({0.125F}, {}))},
       {}});
}

std::vector<IndexingCase> make_cases() {
  std::vector<IndexingCase> cases;
  add_movement(cases);
  add_gathers(cases);
  add_scatters(cases);
  add_orders(cases);
  add_samplings(cases);
  add_quantizations(cases);
  return cases;
}

bool is_interleaved(const IndexingCase& row, Surroundings surroundings, std::size_t input) {
  return surroundings == Surroundings::kTransposes && input == 0 &&
         row.inputs[0].tensor->shape().size() == 4;
}

S indexed(const char* stem, std::size_t i) { return S(stem).append(std::to_string(i)); }

// A convolution that passes every channel on.
void pass_on(ModelBuilder& model, const S& from, const S& to, I channels) {
  Tensor identity = Tensor::zeros(DType::kFloat32, {channels, channels, 1, 1});
  for (I c = 0; c < channels; ++c)
    identity.as<float>()[static_cast<std::size_t>(c * (channels + 1))] = 1;
  model.constant(to + "_weights", identity);
  model.node("Conv", {from, to + "_weights"}, {to}, {});
}

model::Graph inferred(const IndexingCase& row) {
  model::Graph graph = build_case(row, Surroundings::kNone).graph();
  model::infer(graph, {.batch = 0});
  return graph;
}

}  // namespace

const std::vector<IndexingCase>& indexing_cases() {
  static const std::vector<IndexingCase> cases = make_cases();
  return cases;
}

bool fits(const IndexingCase& row, Surroundings surroundings) {
  if (surroundings == Surroundings::kNone) return true;
  const model::Graph graph = inferred(row);
  const auto is_picture = [](const model::Value* value) { return value->rank() == 4; };
  if (!std::all_of(graph.outputs().begin(), graph.outputs().end(), is_picture)) return false;
  if (surroundings == Surroundings::kTransposes) return true;
  const IndexingInput& x = row.inputs[0];
  return x.kind == IndexingInput::Kind::kActivation && x.tensor->shape().size() == 4 &&
         x.tensor->dtype() == DType::kFloat32 && graph.outputs()[0]->dtype == DType::kFloat32 &&
         graph.outputs().size() == 1;
}

ModelBuilder build_case(const IndexingCase& row, Surroundings surroundings) {
  ModelBuilder model(20);
  std::vector<S> inputs, outputs;
  for (std::size_t i = 0; i < row.inputs.size(); ++i) {
    const IndexingInput& input = row.inputs[i];
    inputs.push_back(input.tensor ? indexed("x", i) : S());
    if (!input.tensor) continue;
    if (input.kind == IndexingInput::Kind::kConstant) {
      model.constant(inputs.back(), *input.tensor);
      continue;
    }
    const Shape& shape = input.tensor->shape();
    if (is_interleaved(row, surroundings, i)) {
      model.input("nhwc", {shape[0], shape[2], shape[3], shape[1]}, input.tensor->dtype());
      model.node("Transpose", {"nhwc"}, {inputs.back()}, attributes({{"perm", Ints{0, 3, 1, 2}}}));
    } else if (surroundings == Surroundings::kConvolutions && i == 0) {
      model.input("before", shape, input.tensor->dtype());
      pass_on(model, "before", inputs.back(), shape[1]);
    } else {
      model.input(inputs.back(), shape, input.tensor->dtype());
    }
  }
  for (int i = 0; i < row.outputs; ++i)
    outputs.push_back(indexed("y", static_cast<std::size_t>(i)));
  model.node(row.op, inputs, outputs, row.attributes);
  for (const S& name : outputs) {
    if (surroundings == Surroundings::kTransposes) {
      model.node("Transpose", {name}, {name + "_nhwc"}, attributes({{"perm", Ints{0, 2, 3, 1}}}));
      model.output(name + "_nhwc");
    } else if (surroundings == Surroundings::kConvolutions) {
      pass_on(model, name, name + "_after", inferred(row).outputs()[0]->shape[1]);
      model.output(name + "_after");
    } else {
      model.output(name);
    }
  }
  return model;
}

std::vector<Tensor> case_inputs(const IndexingCase& row, Surroundings surroundings) {
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < row.inputs.size(); ++i) {
    const IndexingInput& input = row.inputs[i];
    if (input.kind != IndexingInput::Kind::kActivation) continue;
    values.push_back(input.tensor->clone());
    if (!is_interleaved(row, surroundings, i)) continue;
    const Shape& s = input.tensor->shape();
    Tensor pixels(input.tensor->dtype(), {s[0], s[2], s[3], s[1]});  // any values will do
    std::copy_n(static_cast<const std::byte*>(values.back().data()), pixels.bytes(),
                static_cast<std::byte*>(pixels.data()));
    values.back() = std::move(pixels);
  }
  return values;
}

std::string case_name(const IndexingCase& row, std::size_t index) {
  S name = row.op + "_" + row.name + "_" + std::to_string(index);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

void PrintTo(const IndexingCase& row, std::ostream* out) { *out << row.op << ' ' << row.name; }

void expect_same(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) {
    ASSERT_EQ(actual[k].dtype(), expected[k].dtype());
    ASSERT_EQ(actual[k].shape(), expected[k].shape());
    const DType wide = model::is_float(expected[k].dtype()) ? DType::kFloat64 : DType::kInt64;
    const Tensor a = model::convert(model::convert(actual[k], wide), DType::kFloat64);
    const Tensor e = model::convert(model::convert(expected[k], wide), DType::kFloat64);
    const double limit = wide == DType::kInt64 ? 0 : tolerance;
    for (std::size_t i = 0; i < static_cast<std::size_t>(e.size()); ++i) {
      const double wanted = e.as<double>()[i];
      ASSERT_NEAR(a.as<double>()[i], wanted, limit * std::max(1.0, std::abs(wanted)))
          << "output " << k << " element " << i;
    }
  }
}

}  // namespace peregrine::testing
