// SPDX-License-Identifier: Apache-2.0
// Steps as a damaged or forged plan may have them: each kernel's check refuses what would make the
// kernel read or write beside its operands.
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/compile_graph.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/indexing_cases.h"
#include "engine/cuda/plan_builder.h"
#include "model/model_builder.h"
#include "model/op_cases.h"
#include "model/selection_models.h"
#include "model/shape_inference.h"
#include "testing/expect_error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using I = std::int64_t;

struct Sample {
  Step step;
  std::vector<std::byte> weights;
};

using Samples = std::map<std::string, Sample>;

void add(Samples& found, const testing::ModelBuilder& model) {
  model::Graph graph = model.graph();
  model::infer(graph, {.batch = 0, .bound_lengths = true});
  compiler::compile_graph(graph);
  for (const Precision precision : {Precision::kFloat32, Precision::kFloat16}) {
    const compiler::Plan plan = lower_to_plan(std::span(&graph, 1), precision);
    for (const Step& step : plan.programs.front().steps) {
      found.try_emplace(step.kernel, Sample{step, plan.weights});
    }
  }
}

// The stem, a depthwise layer, SPPF's three pools and a squeeze.
testing::ModelBuilder picture_model() {
  const auto window = [](I side, I stride, I pad, I group) {
    return testing::attributes({{"kernel_shape", Ints{side, side}},
                                {"strides", Ints{stride, stride}},
                                {"pads", Ints{pad, pad, pad, pad}},
                                {"group", group}});
  };
  const model::Attributes pool = testing::attributes(
      {{"kernel_shape", Ints{5, 5}}, {"pads", Ints{2, 2, 2, 2}}, {"strides", Ints{1, 1}}});
  testing::ModelBuilder model(20);
  model.input("x", {1, 3, 32, 32}).weights("w0", {16, 3, 3, 3}, 1).weights("w1", {16, 1, 3, 3}, 2);
  model.weights("w2", {8, 64, 1, 1}, 3).weights("w3", {8, 8, 1, 1}, 4);
  model.node("Conv", {"x", "w0"}, {"a"}, window(3, 2, 1, 1))
      .node("Conv", {"a", "w1"}, {"b"}, window(3, 1, 1, 16))
      .node("MaxPool", {"b"}, {"c"}, pool)
      .node("MaxPool", {"c"}, {"d"}, pool)
      .node("MaxPool", {"d"}, {"e"}, pool)
      .node("Concat", {"b", "c", "d", "e"}, {"f"}, testing::attributes({{"axis", I{1}}}))
      .node("Conv", {"f", "w2"}, {"g"})
      .node("MaxPool", {"g"}, {"h"}, pool)
      .node("GlobalAveragePool", {"h"}, {"i"})
      .node("Conv", {"i", "w3"}, {"y"})
      .output("y");
  return model;
}

testing::ModelBuilder attention_model() {
  testing::ModelBuilder model(23);
  for (const char* name : {"q", "k", "v"}) model.input(name, {1, 2, 12, 16});
  model.node("Attention", {"q", "k", "v"}, {"y"}).output("y");
  return model;
}

// A step of each kernel, the first that comes.
const Samples& samples() {
  static const Samples all = [] {
    Samples found;
    for (const testing::OpCase& row : testing::op_cases()) add(found, testing::build_case(row));
    for (const testing::IndexingCase& row : testing::indexing_cases()) {
      add(found, testing::build_case(row, testing::Surroundings::kNone));
    }
    add(found, picture_model());
    add(found, attention_model());
    add(found, testing::padded_detector());
    return found;
  }();
  return all;
}

TEST(StepCheck, NoKernelRunsWithoutItsOperands) {
  EXPECT_EQ(samples().size(), 37U) << "all but box_decode";
  for (const auto& [kernel, sample] : samples()) {
    SCOPED_TRACE(kernel);
    Step step = sample.step;
    EXPECT_NO_THROW(check_step(step, sample.weights));
    step.inputs.clear();
    testing::expect_error(ErrorCode::kModelInvalid, {step.name, "the plan"},
                          [&] { check_step(step, sample.weights); });
    step = sample.step;
    step.outputs.clear();
    testing::expect_error(ErrorCode::kModelInvalid, {"it lacks"},
                          [&] { check_step(step, sample.weights); });
  }
}

TEST(StepCheck, AKernelMustExist) {
  Step step;
  step.name = "conv1";
  step.kernel = "conv_quantum";
  testing::expect_error(ErrorCode::kModelInvalid, {"'conv1' (conv_quantum)", "no such kernel"},
                        [&] { check_step(step, {}); });
}

struct Forgery {
  const char* kernel;
  const char* message;
  void (*forge)(Step& step);
};

void widen(Operand& operand) { ++operand.shape.back(); }

const Forgery kForgeries[] = {
    {"attention", "not FP16 in eights", [](Step& s) { s.inputs[2].offset += 2; }},
    {"attention_strided", "queries, keys and values do not fit",
     [](Step& s) { widen(s.inputs[1]); }},
    {"attention_strided", "'past' is -1", [](Step& s) { s.attributes.set("past", I{-1}); }},
    {"conv", "'kernel' is [3]", [](Step& s) { s.attributes.set("kernel", Ints{3}); }},
    {"conv", "its groups do not divide", [](Step& s) { s.attributes.set("group", I{7}); }},
    {"conv", "'group' is 0", [](Step& s) { s.attributes.set("group", I{0}); }},
    {"conv", "constants where it reads",
     [](Step& s) {
       s.attributes.set("kernel", Ints{90, 90});
     }},
    {"conv", "'upsample_shifts' is [1, 1]",
     [](Step& s) {
       s.attributes.set("upsample_shifts", Ints{1, 1});
     }},
    {"conv", "not of one size",
     [](Step& s) {
       s.inputs.resize(4);
       s.inputs.push_back(s.inputs[0]);
       s.attributes.set("upsample_shifts", Ints{0, 1});
     }},
    {"conv", "constants where it reads",
     [](Step& s) {
       s.inputs.resize(4);
       s.inputs.push_back(s.inputs[0]);
     }},
    {"conv_depthwise", "does not take such", [](Step& s) { s.attributes.set("group", I{8}); }},
    {"conv_stem", "does not take such",
     [](Step& s) {
       s.attributes.set("strides", Ints{1, 1});
     }},
    {"conv_strided", "constants where it reads",
     [](Step& s) {
       Ints kernel = s.attributes.get_ints("kernel");
       kernel.back() += 50;
       s.attributes.set("kernel", kernel);
     }},
    {"conv_strided", "another batch", [](Step& s) { ++s.outputs[0].shape[0]; }},
    {"copy", "it pairs", [](Step& s) { widen(s.outputs[0]); }},
    {"cumulative_sum", "axes they do not have",
     [](Step& s) { s.attributes.set("axes", Ints{99}); }},
    {"gather", "'axis' is 9", [](Step& s) { s.attributes.set("axis", I{9}); }},
    {"gather", "should be", [](Step& s) { widen(s.outputs[0]); }},
    {"gather_elements", "it pairs", [](Step& s) { widen(s.outputs[0]); }},
    {"gather_nd", "'batch_dims' is 9", [](Step& s) { s.attributes.set("batch_dims", I{9}); }},
    {"local_response", "'size' is 0", [](Step& s) { s.attributes.set("size", I{0}); }},
    {"local_response", "too many axes",
     [](Step& s) {
       s.attributes.set("axes", Ints{1, 2});
     }},
    {"matmul_float", "do not fit each other", [](Step& s) { widen(s.inputs[0]); }},
    {"non_zero", "do not fit each other", [](Step& s) { widen(s.outputs[0]); }},
    {"one_hot", "'axis' is -1", [](Step& s) { s.attributes.set("axis", I{-1}); }},
    {"pack", "its rows do not fit", [](Step& s) { s.attributes.set("row_axes", I{0}); }},
    {"pointwise", "no valid pointwise chain", [](Step& s) { widen(s.outputs[0]); }},
    {"pointwise", "no valid pointwise chain",
     [](Step& s) {
       Ints operands = s.attributes.get_ints("operands");
       operands[0] = 7;
       s.attributes.set("operands", operands);
     }},
    {"pool_chain", "does not take such",
     [](Step& s) {
       s.attributes.set("kernel", Ints{4, 4});
     }},
    {"pool_strided", "'strides' is",
     [](Step& s) {
       s.attributes.set("strides", Ints{0, 0});
     }},
    {"pool_strided", "its window is too large",
     [](Step& s) {
       s.attributes.set("dilations", Ints{1 << 30, 1 << 30});
     }},
    {"quantize", "'axis' is 5", [](Step& s) { s.attributes.set("axis", I{5}); }},
    {"reduce", "axes they do not have", [](Step& s) { s.attributes.set("axes", Ints{-1}); }},
    {"remap", "constants where it reads",
     [](Step& s) {
       Ints starts = s.attributes.get_ints("starts");
       starts.back() += 1000;
       s.attributes.set("starts", starts);
     }},
    {"remap", "has it twice",
     [](Step& s) {
       const Ints axes = s.attributes.get_ints("axes");
       s.attributes.set("axes", Ints{axes[0], axes[0]});
     }},
    {"resize", "constants where it reads",
     [](Step& s) {
       const auto axes = s.attributes.get_ints("axes").size();
       s.attributes.set("taps", Ints(axes, 4000));
     }},
    {"reverse", "'time_axis' is 2", [](Step& s) { s.attributes.set("time_axis", I{2}); }},
    {"scatter_elements", "'reduction' is 8", [](Step& s) { s.attributes.set("reduction", I{8}); }},
    {"scatter_nd", "'group' is", [](Step& s) { s.attributes.set("group", I{1} << 20); }},
    {"suppress", "do not fit each other", [](Step& s) { widen(s.inputs[1]); }},
    {"suppress", "do not fit each other", [](Step& s) { widen(s.outputs[2]); }},
    {"suppress", "not packed", [](Step& s) { s.outputs[0].offset += 4; }},
    {"suppressed_rows", "'classes' is 0", [](Step& s) { s.attributes.set("classes", I{0}); }},
    {"top_k", "'axis' is -1", [](Step& s) { s.attributes.set("axis", I{-1}); }},
    {"top_k", "'k' is", [](Step& s) { s.attributes.set("k", I{1} << 20); }},
    {"top_k", "should be",
     [](Step& s) { s.attributes.set("k", s.attributes.get_int("k", 1) + 1); }},
};

TEST(StepCheck, RefusesForgedStepsByName) {
  for (const Forgery& each : kForgeries) {
    SCOPED_TRACE(std::string(each.kernel) + ": " + each.message);
    const auto sample = samples().find(each.kernel);
    ASSERT_NE(sample, samples().end());
    Step step = sample->second.step;
    each.forge(step);
    testing::expect_error(ErrorCode::kModelInvalid, {each.message, step.name},
                          [&] { check_step(step, sample->second.weights); });
  }
}

// Tables of positions are constants of the plan: they are forged there.
TEST(StepCheck, RefusesPositionsBesideTheirAxis) {
  for (const char* kernel : {"remap", "resize"}) {
    SCOPED_TRACE(kernel);
    Sample sample = samples().at(kernel);
    const auto at = static_cast<std::size_t>(sample.step.inputs[1].offset);
    sample.weights[at + 2] = std::byte{1};  // a position of some 65,536
    testing::expect_error(ErrorCode::kModelInvalid, {"its table names position"},
                          [&] { check_step(sample.step, sample.weights); });
  }
}

}  // namespace
}  // namespace peregrine::cuda
