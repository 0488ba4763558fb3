// SPDX-License-Identifier: Apache-2.0
// What `validate` measures: outputs, answers, and the first node that goes wrong.
#include "eval/validation.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>

#include "eval/bisect.h"
#include "model/model_builder.h"
#include "model/onnx_reader.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace peregrine::eval {
namespace {

using testing::attributes;
using testing::expect_error;
using testing::ModelBuilder;

Tensor floats(std::initializer_list<float> values, Shape shape) {
  const std::vector<float> list(values);
  return Tensor::of<float>(std::span<const float>(list), std::move(shape));
}

TEST(OutputDifference, IsRelativeToTheReference) {
  OutputDifference difference("y");
  Tensor a = floats({3, 4.5f}, {1, 2}), e = floats({3, 4}, {1, 2});
  difference.add(a.view(), e.view());
  EXPECT_NEAR(difference.relative_l2(), 0.5 / 5, 1e-7);
  Tensor same = floats({12, 0}, {1, 2});
  difference.add(same.view(), same.view());
  EXPECT_NEAR(difference.relative_l2(), 0.5 / 13, 1e-7) << "over all batches";
  EXPECT_EQ(difference.worst().index, (Shape{0, 1}));
  EXPECT_EQ(difference.worst().actual, 4.5);
  EXPECT_EQ(difference.worst().expected, 4);
  EXPECT_EQ(difference.elements(), 4);
}

TEST(OutputDifference, SeesWhatIsNotANumber) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Tensor e = floats({1, 2, kInfinity}, {3});
  OutputDifference equal("y"), nan("y");
  equal.add(e.view(), e.view());
  EXPECT_EQ(equal.relative_l2(), 0) << "equal infinities differ by nothing";
  Tensor a = floats({1, kNan, kInfinity}, {3});
  nan.add(a.view(), e.view());
  EXPECT_FALSE(nan.relative_l2() <= 1e30);
  EXPECT_EQ(nan.worst().index, Shape{1});
}

TEST(OutputDifference, CorrelatesAndRefusesOtherShapes) {
  OutputDifference difference("depth");
  Tensor a = floats({1, 2, 3, 4}, {4}), e = floats({2, 4, 6, 8}, {4}), other = floats({1}, {1});
  difference.add(a.view(), e.view());
  EXPECT_NEAR(difference.correlation(), 1, 1e-12);
  expect_error(ErrorCode::kInvalidShape, {"depth", "[4]", "[1]"},
               [&] { difference.add(a.view(), other.view()); });
}

FrameResult objects(std::initializer_list<std::pair<Box, float>> list) {
  FrameResult result;
  for (const auto& [box, score] : list) {
    result.detections.boxes.push_back(box);
    result.detections.scores.push_back(score);
    result.detections.classes.push_back(1);
  }
  return result;
}

TEST(Agreement, MatchesObjectsBothWays) {
  Agreement agreement;
  const Box one{0, 0, 100, 100}, moved{2, 0, 102, 100};  // IoU 0.96
  const Box faint{0, 300, 100, 400};
  const Box far{300, 0, 400, 100}, far_off{310, 0, 410, 100};  // IoU 0.82
  // One within the limits; one whose partner fell below 0.25; one that moved too far.
  agreement.add(objects({{moved, 0.9f}, {far_off, 0.5f}, {faint, 0.249f}}),
                objects({{one, 0.905f}, {far, 0.5f}, {faint, 0.252f}}));
  const auto measures = agreement.measures();
  ASSERT_EQ(measures.size(), 2);
  EXPECT_NEAR(measures[0].value, 2.0 / 3, 1e-9);
  EXPECT_FALSE(measures[0].good);
  EXPECT_NE(measures[0].detail.find("2 of 3"), std::string::npos) << measures[0].detail;
  EXPECT_NEAR(measures[1].value, 0.5, 1e-9) << "the moved one is an invention of the model";
}

TEST(Agreement, HoldsScoresAndClassesToTheirLimits) {
  const Box box{0, 0, 10, 10};
  Agreement score;
  score.add(objects({{box, 0.88f}}), objects({{box, 0.9f}}));
  EXPECT_EQ(score.measures()[0].value, 0);
  Agreement label;
  FrameResult other = objects({{box, 0.9f}});
  other.detections.classes[0] = 2;
  label.add(other, objects({{box, 0.9f}}));
  EXPECT_EQ(label.measures()[0].value, 0);
  EXPECT_TRUE(Agreement().measures().empty());
}

TEST(Agreement, ComparesMasksKeypointsAndEmbeddings) {
  FrameResult a = objects({{{0, 0, 4, 4}, 0.9f}}), e = a;
  e.detections.masks = {{4, 4, {0, 8, 8}}};
  a.detections.masks = {{4, 4, {0, 6, 10}}};
  e.detections.keypoints_per_object = a.detections.keypoints_per_object = 2;
  e.detections.keypoints = {{1, 1, 0.9f}, {9, 9, 0.1f}};
  a.detections.keypoints = {{4, 5, 0.9f}, {0, 0, 0.1f}};
  e.embedding = {1, 0};
  a.embedding = {0.6f, 0.8f};
  Agreement agreement;
  agreement.add(a, e);
  const auto measures = agreement.measures();
  ASSERT_EQ(measures.size(), 5);
  EXPECT_NEAR(measures[2].value, 0.75, 1e-9);
  EXPECT_NEAR(measures[3].value, 5, 1e-6) << "the point that nobody sees is left out";
  EXPECT_NEAR(measures[4].value, 0.6, 1e-6);
  for (std::size_t i = 2; i < 5; ++i) EXPECT_FALSE(measures[i].good) << measures[i].name;
}

TEST(Agreement, ComparesDepthWhateverItsScale) {
  FrameResult e, a;
  e.depth = {.width = 2, .height = 2, .values = {1, 2, 3, 4}, .min = 1, .max = 4};
  a.depth = {.width = 2, .height = 2, .values = {12, 14, 16, 18}, .min = 12, .max = 18};
  const auto measure = [&] {
    Agreement agreement;
    agreement.add(e, e);
    agreement.add(a, e);
    const auto measures = agreement.measures();
    EXPECT_EQ(measures.size(), 1u);
    return measures.at(0);
  };
  EXPECT_NEAR(measure().value, 1, 1e-12);
  EXPECT_TRUE(measure().good);
  a.depth.values = {2, 1, 4, 3};  // sum of products about the means 3, squares 5 each
  EXPECT_NEAR(measure().value, 0.6, 1e-12);
  EXPECT_FALSE(measure().good);
  a.depth.values[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(measure().good);
  a.depth = {.width = 4, .height = 1, .values = {1, 2, 3, 4}, .min = 1, .max = 4};
  EXPECT_EQ(measure().value, -1);
}

// Conv, Relu, Conv, Sigmoid: the values are called a, b, c, y.
ModelBuilder small_model() {
  ModelBuilder model;
  model.input("x", {-1, 3, 8, 8})
      .weights("w1", {4, 3, 3, 3}, 1)
      .weights("w2", {2, 4, 1, 1}, 2)
      .node("Conv", {"x", "w1"}, {"a"})
      .node("Relu", {"a"}, {"b"})
      .node("Conv", {"b", "w2"}, {"c"})
      .node("Sigmoid", {"c"}, {"y"})
      .output("y");
  return model;
}

// The model in the reference interpreter, with values that it gets wrong on purpose: a GPU's
// stand-in.
class FakeGpu final : public engine::GpuEngine {
 public:
  FakeGpu(const model::Graph& graph, std::string wrong, float by)
      : graph_(graph.clone()), wrong_(std::move(wrong)), by_(by) {
    model::infer(graph_, {.batch = 1});
    compiler::Program program;
    program.batch = 1;
    for (const model::Node* node : graph_.nodes()) {
      compiler::Step step;
      step.kernel = "fake";
      step.name = node->name();
      step.origins = node->origins();
      step.outputs.resize(1);
      step.outputs[0].value = node->output()->name;
      program.steps.push_back(std::move(step));
    }
    plan_.programs = {std::move(program)};
    inputs_ = {{"x", DType::kFloat32, {-1, 3, 8, 8}}};
    outputs_ = {{"y", DType::kFloat32, {-1, 2, 6, 6}}};
  }
  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }
  int max_batch() const override { return 4; }
  std::string description() const override { return "fake"; }
  std::unique_ptr<ExecutionContext> create_context() const override;
  Device gpu() const override { return Device::cuda(0); }
  std::shared_ptr<const Engine> on_device() const override { return nullptr; }  // not asked for
  const compiler::Plan& plan() const override { return plan_; }
  std::size_t weight_bytes() const override { return 0; }
  std::size_t context_bytes() const override { return 0; }
  Peak peak() const override { return {}; }
  engine::RunTimes time_on_device(std::span<const TensorView>, int, double) const override {
    return {};
  }
  std::vector<double> time_steps(std::size_t) const override { return {}; }

  void run_stepwise(
      std::size_t, std::span<const TensorView> inputs,
      const std::function<void(const compiler::Step&, std::size_t, Tensor)>& seen) const override {
    std::size_t at = 0;
    Tensor input(inputs[0].dtype, inputs[0].shape);
    std::memcpy(input.data(), inputs[0].data, input.bytes());
    model::run_graph(graph_, std::span(&input, 1),
                     [&](const model::Value& value, const Tensor& made) {
                       Tensor tensor = made.clone();
                       if (value.name == wrong_) tensor.as<float>()[0] += by_;
                       seen(plan_.programs[0].steps[at++], 0, std::move(tensor));
                     });
  }

 private:
  model::Graph graph_;
  std::string wrong_;
  float by_;
  compiler::Plan plan_;
  std::vector<TensorSpec> inputs_, outputs_;
};

// Sums, offset by the engine's error: the answers of two engines differ by it.
class FakeContext final : public ExecutionContext {
 public:
  explicit FakeContext(float error) : error_(error) {}
  void enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int batch,
               StreamHandle) override {
    for (int i = 0; i < batch; ++i) {
      const float first = inputs[0].as<float>()[i * 192];
      float* to = outputs[0].as<float>() + i * 72;
      for (int k = 0; k < 72; ++k) to[k] = first + error_;
    }
  }
  void wait() override {}

 private:
  float error_;
};

std::unique_ptr<ExecutionContext> FakeGpu::create_context() const {
  return std::make_unique<FakeContext>(by_);
}

TEST(Validate, ComparesBatchesOfAllSizes) {
  const model::Graph graph = small_model().graph();
  const FakeGpu right(graph, "", 0), wrong(graph, "", 0.1f);
  ModelInputs inputs(right.inputs(), 1, 10);
  const ValidationReport good = validate(right, right, inputs, std::nullopt, 1e-4);
  EXPECT_EQ(good.pictures, 10);
  EXPECT_TRUE(good.good());
  EXPECT_EQ(good.outputs.at(0).elements(), 10 * 72);
  ModelInputs again(right.inputs(), 1, 3);
  const ValidationReport bad = validate(wrong, right, again, std::nullopt, 1e-2);
  EXPECT_FALSE(bad.good());
  EXPECT_NEAR(bad.outputs[0].worst().difference(), 0.1, 1e-6);
}

TEST(EngineRun, RunsALargeBatchInParts) {
  const FakeGpu engine(small_model().graph(), "", 0);
  ModelInputs inputs(engine.inputs(), 1, 6);
  ASSERT_EQ(inputs.next(6), 6);
  EngineRun run(engine);
  const auto outputs = run(inputs.views(), 6);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(outputs[0].as<float>()[i * 72 + 71], inputs.tensors()[0].as<float>()[i * 192]) << i;
  }
}

TEST(ModelInputs, NoiseIsTheSameForTheSameSeed) {
  const std::vector<TensorSpec> specs = {{"x", DType::kFloat32, {-1, 3, 4, 4}},
                                         {"ids", DType::kInt64, {-1, 5}}};
  ModelInputs a(specs, 7, 3), b(specs, 7, 3);
  ASSERT_EQ(a.next(2), 2);
  ASSERT_EQ(b.next(2), 2);
  EXPECT_EQ(a.tensors()[1].shape(), (Shape{2, 5}));
  for (std::size_t i = 0; i < 96; ++i) {
    EXPECT_EQ(a.tensors()[0].as<float>()[i], b.tensors()[0].as<float>()[i]);
  }
  EXPECT_EQ(a.next(2), 1) << "what is left of three";
  EXPECT_EQ(a.next(2), 0);
}

class BisectTest : public ::testing::Test {
 protected:
  BisectTest() { std::ofstream(path_, std::ios::binary) << small_model().bytes(); }
  Bisection bisect_with(const std::string& wrong, float by) {
    const FakeGpu plan(model::read_onnx(path_), wrong, by);
    ModelInputs inputs(plan.inputs(), 3, 1);
    inputs.next(1);
    return bisect(plan, path_, inputs.views(), 1e-3);
  }
  const testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "small.onnx";
};

TEST_F(BisectTest, NamesTheFirstNodeThatIsWrong) {
  const Bisection found = bisect_with("b", 5);
  EXPECT_EQ(found.compared, 4);
  EXPECT_EQ(found.unmatched, 0);
  ASSERT_TRUE(found.first);
  EXPECT_EQ(found.first->op, "Relu");
  EXPECT_EQ(found.first->value, "b");
  EXPECT_EQ(found.first->kernel, "fake");
  EXPECT_EQ(found.worst.value, "b");
}

TEST_F(BisectTest, FindsNothingWhereNothingIsWrong) {
  const Bisection found = bisect_with("", 0);
  EXPECT_EQ(found.compared, 4);
  EXPECT_FALSE(found.first);
  EXPECT_EQ(found.worst.error, 0);
}

TEST_F(BisectTest, NotANumberIsTheWorst) {
  const Bisection found = bisect_with("c", std::numeric_limits<float>::quiet_NaN());
  ASSERT_TRUE(found.first);
  EXPECT_EQ(found.first->value, "c");
  EXPECT_TRUE(std::isnan(found.worst.error));
}

}  // namespace
}  // namespace peregrine::eval
