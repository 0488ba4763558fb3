// SPDX-License-Identifier: Apache-2.0
// What lowering promises of memory: what a Concat joins is written in place, slices and splits are
// read in place, and parallel branches stay within their allowance.
#include <algorithm>
#include <cctype>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "compiler/arena_schedule.h"
#include "compiler/compile_graph.h"
#include "compiler/passes.h"
#include "compiler/plan_check.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/plan_builder.h"
#include "model/model_builder.h"
#include "model/shape_inference.h"
#include "testing/shared_data.h"

namespace peregrine {
namespace {

using compiler::Operand;
using compiler::Program;
using cuda::Precision;
using testing::attributes;
using testing::ModelBuilder;

const model::Attributes kChannelAxis = attributes({{"axis", std::int64_t{1}}});
constexpr std::int64_t kFloatBytes = 4;

Program lowered(const ModelBuilder& model) {
  model::Graph graph = model.graph();
  model::infer(graph, {.batch = 2});
  return cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat32).programs.front();
}

std::ptrdiff_t copies(const Program& program) {
  return std::count_if(program.steps.begin(), program.steps.end(),
                       [](const compiler::Step& step) { return step.kernel == "copy"; });
}

Operand operand_of(const Program& program, const std::string& value) {
  for (const compiler::Step& step : program.steps) {
    for (const auto& operands : {step.outputs, step.inputs}) {
      for (const Operand& each : operands) {
        if (each.value == value) return each;
      }
    }
  }
  ADD_FAILURE() << "no step touches '" << value << "'";
  return {};
}

void expect_part(const Program& program, const std::string& part, const std::string& whole,
                 std::int64_t elements) {
  const Operand inner = operand_of(program, part), outer = operand_of(program, whole);
  EXPECT_EQ(inner.region, outer.region) << part;
  EXPECT_EQ(inner.offset, outer.offset + elements * kFloatBytes) << part;
  EXPECT_EQ(inner.strides, outer.strides) << part;
}

// YOLO's C2f: the split halves and what is computed from them are joined again. Nothing moves.
TEST(Lowering, ASplitLivesInTheConcatThatJoinsIt) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).ints("parts", {4, 4}).output("y");
  model.weights("w", {8, 3, 1, 1}, 1)
      .node("Conv", {"x", "w"}, {"c"})
      .node("Split", {"c", "parts"}, {"a", "b"}, kChannelAxis);
  model.weights("w2", {4, 4, 1, 1}, 2).node("Conv", {"b", "w2"}, {"d"});
  model.node("Concat", {"a", "b", "d"}, {"j"}, kChannelAxis).node("Relu", {"j"}, {"y"});
  const Program program = lowered(model);
  EXPECT_EQ(copies(program), 0);
  expect_part(program, "c", "j", 0);  // channels are innermost
  expect_part(program, "b", "j", 4);
  expect_part(program, "d", "j", 8);
}

TEST(Lowering, AConcatInAConcatIsWrittenOnce) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).output("y");
  model.node("Relu", {"x"}, {"a"}).node("Abs", {"x"}, {"b"}).node("Neg", {"x"}, {"c"});
  model.node("Concat", {"a", "b"}, {"inner"}, kChannelAxis)
      .node("Concat", {"c", "inner"}, {"outer"}, kChannelAxis);
  model.node("Relu", {"outer"}, {"y"});
  const Program program = lowered(model);
  EXPECT_EQ(copies(program), 0);
  expect_part(program, "c", "outer", 0);  // planar, as the caller's picture
  expect_part(program, "a", "outer", 3 * 16);
  expect_part(program, "b", "outer", 6 * 16);
}

// The caller's input, and whatever a Concat takes for the second time.
TEST(Lowering, OnlyWhatHasAnotherPlaceIsCopied) {
  ModelBuilder model;
  model.input("x", {-1, 3, 4, 4}).output("y");
  model.node("Relu", {"x"}, {"a"});
  model.node("Concat", {"x", "a", "a"}, {"j"}, kChannelAxis);
  model.node("Concat", {"j", "j"}, {"k"}, attributes({{"axis", std::int64_t{2}}}));
  model.node("Relu", {"k"}, {"r"}).node("Concat", {"r", "r"}, {"y"}, kChannelAxis);
  const Program program = lowered(model);
  EXPECT_EQ(copies(program), 4) << "x, the second a, the second j, the second r";
  EXPECT_EQ(operand_of(program, "r").region, compiler::Region::kOutput);
  expect_part(program, "a", "k", 3 * 2 * 16);
}

TEST(Lowering, SlicesAreReadWhereTheyLie) {
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
  const Program program = lowered(model);
  EXPECT_EQ(copies(program), 0);
  expect_part(program, "t", "a", 2 * 16 + 2 * 4);
}

// Masks' prototypes, and coefficients of several scales: what leaves the model is written as it
// leaves.
TEST(Lowering, ConvolutionsWriteTheModelsPlanes) {
  ModelBuilder model;
  model.input("x", {-1, 8, 4, 6}).weights("w", {8, 8, 1, 1}, 1).weights("v", {16, 8, 1, 1}, 2);
  const auto half = attributes({{"strides", model::Ints{2, 2}}});
  model.node("Conv", {"x", "w"}, {"a"}).node("Conv", {"a", "w"}, {"b"}, half);
  model.ints("flat", {0, 16, -1}).node("Conv", {"a", "v"}, {"y"}).output("y");
  model.weights("u", {16, 8, 1, 1}, 3).node("Conv", {"a", "u"}, {"large"}, half);
  model.node("Conv", {"b", "u"}, {"small"}).node("Reshape", {"large", "flat"}, {"first"});
  model.node("Reshape", {"small", "flat"}, {"second"});
  model.node("Concat", {"first", "second"}, {"z"}, attributes({{"axis", std::int64_t{2}}}));
  model::Graph graph = model.output("z").graph();
  model::infer(graph, {.batch = 2});
  const Program program =
      cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat16).programs.front();
  for (const char* value : {"y", "large", "small"}) {
    EXPECT_EQ(operand_of(program, value).region, compiler::Region::kOutput) << value;
  }
  EXPECT_EQ(copies(program), 0);
}

// YOLO's neck: an enlarged picture beside another one, neither laid out. Not where someone else
// reads the concatenation, nor where the enlargement is no plain repetition.
TEST(Lowering, ConvolutionsReadUpsampledPicturesThroughTheConcat) {
  for (const char* changed : {"", "another reader", "linear", "odd channels"}) {
    SCOPED_TRACE(changed);
    const std::string_view change = changed;
    const std::int64_t channels = change == "odd channels" ? 4 : 8;
    ModelBuilder model;
    model.input("x", {-1, 8, 6, 6}).weights("w", {channels, 8, 3, 3}, 1);
    model.weights("v", {8, 8, 1, 1}, 2).weights("u", {8, 8 + channels, 1, 1}, 3);
    model.floats("scales", {4}, std::vector<float>{1, 1, 2, 2});
    model.node("Conv", {"x", "w"}, {"a"},
               attributes({{"strides", model::Ints{2, 2}}, {"pads", model::Ints{1, 1, 1, 1}}}));
    model.node("Conv", {"x", "v"}, {"b"});
    model.node("Resize", {"a", "", "scales"}, {"up"},
               attributes({{"mode", std::string(change == "linear" ? "linear" : "nearest")},
                           {"coordinate_transformation_mode", std::string("asymmetric")},
                           {"nearest_mode", std::string("floor")}}));
    model.node("Concat", {"up", "b"}, {"j"}, kChannelAxis).node("Conv", {"j", "u"}, {"y"});
    model.output("y");
    if (change == "another reader") model.node("Relu", {"j"}, {"z"}).output("z");
    model::Graph graph = model.graph();
    model::infer(graph, {.batch = 2});
    const Program program =
        cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat16).programs.front();
    const auto reads_two =
        std::find_if(program.steps.begin(), program.steps.end(), [](const compiler::Step& step) {
          return step.kernel == "conv" && step.attributes.has("upsample_shifts");
        });
    if (change != "") {
      EXPECT_EQ(reads_two, program.steps.end());
      continue;
    }
    ASSERT_NE(reads_two, program.steps.end());
    EXPECT_EQ(reads_two->attributes.get_ints("upsample_shifts"), (model::Ints{1, 0}));
    EXPECT_EQ(reads_two->inputs[0].value, "a");
    EXPECT_EQ(reads_two->inputs[4].value, "b");
  }
}

struct Expectation {
  const char* file;
  int most_copies;
};
void PrintTo(const Expectation& expectation, std::ostream* out) { *out << expectation.file; }

class LoweredModels : public ::testing::TestWithParam<Expectation> {};

TEST_P(LoweredModels, CopyLittleInATightArena) {
  const Expectation& expected = GetParam();
  PEREGRINE_SHARED_FILE(path, std::string("models/") + expected.file);
  for (const int batch : {1, 8}) {
    SCOPED_TRACE("batch " + std::to_string(batch));
    model::Graph graph = testing::read_with_weights(path);
    model::infer(graph, {.batch = batch});
    compiler::compile_graph(graph);
    const compiler::Plan plan = cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat16);
    const Program& program = plan.programs.front();
    EXPECT_NO_THROW(compiler::check_plan(plan, plan.weights.size())) << "no file could keep it";
    for (const compiler::Step& step : program.steps) {
      EXPECT_NO_THROW(cuda::check_step(step, plan.weights)) << step.name;
    }
    EXPECT_LE(copies(program), expected.most_copies);
    const auto weights = static_cast<double>(plan.weights.size());
    const double least = weights + static_cast<double>(program.peak_bytes);
    EXPECT_LE(weights + static_cast<double>(program.arena_bytes), compiler::kMostMemory * least)
        << "arena " << program.arena_bytes << ", peak " << program.peak_bytes;
  }
}

// As the program asks for it where the GPU makes the pictures.
TEST_P(LoweredModels, TakeTheirPicturesAsHalfPixels) {
  const Expectation& expected = GetParam();
  PEREGRINE_SHARED_FILE(path, std::string("models/") + expected.file);
  model::Graph graph = testing::read_with_weights(path);
  model::infer(graph, {.batch = 8});
  compiler::compile_graph(graph);
  EXPECT_EQ(compiler::read_half_pixels(graph), 1);
  const compiler::Plan plan = cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat16);
  EXPECT_EQ(plan.inputs[0].dtype, DType::kFloat16);
  EXPECT_EQ(plan.inputs[0].shape.back(), 4);
  EXPECT_NO_THROW(compiler::check_plan(plan, plan.weights.size()));
  for (const compiler::Step& step : plan.programs.front().steps) {
    EXPECT_NO_THROW(cuda::check_step(step, plan.weights)) << step.name;
  }
  EXPECT_LE(copies(plan.programs.front()), expected.most_copies);
}

INSTANTIATE_TEST_SUITE_P(Shared, LoweredModels,
                         ::testing::Values(Expectation{"osnet_x0_25.onnx", 0},
                                           Expectation{"coco/yolo11n.onnx", 5},
                                           Expectation{"coco/yolo11n-pose.onnx", 5},
                                           Expectation{"coco/yolov8n-seg-320.onnx", 0},
                                           Expectation{"graphs/clip-vit-b32.graph.onnx", 1},
                                           Expectation{"graphs/depth-anything-v2-s.graph.onnx", 1},
                                           Expectation{"graphs/detr-r50.graph.onnx", 1},
                                           Expectation{"graphs/yolo11m.graph.onnx", 10},
                                           Expectation{"graphs/yolo11n-seg.graph.onnx", 5},
                                           Expectation{"graphs/yolo12n.graph.onnx", 12}),
                         [](const auto& each) {
                           std::string name = each.param.file;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

}  // namespace
}  // namespace peregrine
