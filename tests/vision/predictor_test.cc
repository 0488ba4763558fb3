// SPDX-License-Identifier: Apache-2.0
#include "vision/predictor.h"

#include <cmath>
#include <functional>
#include <numeric>

#include <gtest/gtest.h>

#include "testing/expect_error.h"
#include "vision/embedder.h"
#include "vision/pictures.h"

namespace peregrine::vision {
namespace {

using peregrine::testing::expect_error;

/// An engine whose answer is a function of the input: each output row is the mean of R, G and B.
class MeanEngine final : public Engine {
 public:
  explicit MeanEngine(int max_batch, int width = 8, int height = 16) : max_batch_(max_batch) {
    inputs_ = {{"images", DType::kFloat32, {-1, 3, height, width}}};
    outputs_ = {{"features", DType::kFloat32, {-1, 3}}};
  }
  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }
  int max_batch() const override { return max_batch_; }
  Device device() const override { return device_; }
  std::string description() const override { return "mean"; }
  std::unique_ptr<ExecutionContext> create_context() const override {
    return std::make_unique<Context>(*this);
  }

  std::vector<TensorSpec> inputs_, outputs_;
  Device device_;
  mutable std::vector<int> batches;
  mutable int fail_waits = 0;

 private:
  class Context final : public ExecutionContext {
   public:
    explicit Context(const MeanEngine& engine) : engine_(engine) {}
    void enqueue(std::span<const TensorView> inputs, std::span<const TensorView> outputs, int batch,
                 StreamHandle) override {
      engine_.batches.push_back(batch);
      ASSERT_EQ(inputs[0].shape[0], batch);
      ASSERT_EQ(outputs[0].shape[0], batch);
      const std::int64_t plane = inputs[0].shape[2] * inputs[0].shape[3];
      for (int i = 0; i < batch * 3; ++i) {
        const float* from = inputs[0].as<float>() + i * plane;
        outputs[0].as<float>()[i] =
            std::accumulate(from, from + plane, 0.0f) / static_cast<float>(plane);
      }
    }
    void wait() override {
      if (engine_.fail_waits > 0) {
        --engine_.fail_waits;
        throw Error(ErrorCode::kEngine, "made to fail");
      }
    }

   private:
    const MeanEngine& engine_;
  };
  int max_batch_;
};

TaskSpec embed_spec() {
  TaskSpec spec;
  spec.task = Task::kEmbed;
  spec.head = Head::kEmbed;
  spec.input.width = 8;
  spec.input.height = 16;
  spec.input.fit = InputSpec::Fit::kStretch;
  return spec;
}

Frame plain(int red, int green, int blue, int index) {
  Frame frame = make_picture(PixelFormat::kRgb24, 20, 10, 1);
  auto* pixels = const_cast<std::uint8_t*>(frame.planes[0].data);
  for (int y = 0; y < 10; ++y) {
    for (int x = 0; x < 20; ++x) {
      std::uint8_t* pixel = pixels + frame.planes[0].stride * y + 3 * x;
      pixel[0] = static_cast<std::uint8_t>(red);
      pixel[1] = static_cast<std::uint8_t>(green);
      pixel[2] = static_cast<std::uint8_t>(blue);
    }
  }
  frame.info.index = index;
  return frame;
}

TEST(Predictor, AnswersComeInOrderWithTheirFrames) {
  const auto engine = std::make_shared<MeanEngine>(4);
  const auto predictor = make_cpu_predictor(engine, embed_spec(), {});
  EXPECT_EQ(predictor->max_batch(), 4);
  for (const std::size_t batch : {3u, 1u, 4u}) {
    std::vector<Frame> frames;
    for (std::size_t i = 0; i < batch; ++i) {
      frames.push_back(
          plain(i == 0 ? 255 : 0, i == 1 ? 255 : 0, i >= 2 ? 255 : 0, static_cast<int>(i) + 7));
    }
    predictor->submit(frames);
    frames.clear();  // may be released
    std::vector<FrameResult> results(batch);
    results[0].detections.boxes.push_back({});  // of an earlier use
    const PredictTimes times = predictor->collect(results);
    EXPECT_GT(times.preprocess, 0);
    EXPECT_GT(times.infer, 0);
    EXPECT_GT(times.decode, 0);
    EXPECT_TRUE(results[0].detections.empty());
    for (std::size_t i = 0; i < batch; ++i) {
      EXPECT_EQ(results[i].frame.index, static_cast<std::int64_t>(i) + 7);
      EXPECT_FLOAT_EQ(results[i].embedding[std::min<std::size_t>(i, 2)], 1.0f);
    }
  }
  EXPECT_EQ(engine->batches, (std::vector<int>{3, 1, 4}));
}

TEST(Predictor, RefusesMisuseAndSurvivesFailure) {
  const auto engine = std::make_shared<MeanEngine>(2);
  const auto predictor = make_cpu_predictor(engine, embed_spec(), {});
  const std::vector<Frame> frames{plain(255, 0, 0, 0), plain(0, 255, 0, 1), plain(0, 0, 255, 2)};
  std::vector<FrameResult> results(2);
  expect_error(ErrorCode::kInvalidArgument, {"3 frames", "1 to 2"},
               [&] { predictor->submit(frames); });
  expect_error(ErrorCode::kInvalidArgument, {"0 frames"}, [&] { predictor->submit({}); });
  expect_error(ErrorCode::kInvalidArgument, {"batch of 0"}, [&] { predictor->collect(results); });
  const std::vector<Frame> broken{plain(255, 0, 0, 0), Frame{}};
  expect_error(ErrorCode::kInvalidArgument, {"0x0"}, [&] { predictor->submit(broken); });
  predictor->submit(std::span(frames).first(2));
  expect_error(ErrorCode::kInvalidArgument, {"in flight"},
               [&] { predictor->submit(std::span(frames).first(1)); });
  expect_error(ErrorCode::kInvalidArgument, {"1 results", "batch of 2"},
               [&] { predictor->collect(std::span(results).first(1)); });
  predictor->collect(results);
  engine->fail_waits = 1;
  predictor->submit(std::span(frames).first(2));
  expect_error(ErrorCode::kEngine, {"made to fail"}, [&] { predictor->collect(results); });
  predictor->submit(std::span(frames).subspan(1, 2));
  predictor->collect(results);
  EXPECT_FLOAT_EQ(results[0].embedding[1], 1.0f);
}

TEST(Predictor, AnUncollectedBatchMayFailUnheard) {
  const auto engine = std::make_shared<MeanEngine>(1);
  {
    const auto predictor = make_cpu_predictor(engine, embed_spec(), {});
    predictor->submit(std::vector<Frame>{plain(1, 2, 3, 0)});
    engine->fail_waits = 1;
  }
  EXPECT_EQ(engine->fail_waits, 0);  // it waited
}

TEST(Predictor, RefusesEnginesThatDoNotFit) {
  const auto with = [](const std::function<void(MeanEngine&)>& change) {
    auto engine = std::make_shared<MeanEngine>(1);
    change(*engine);
    make_cpu_predictor(engine, embed_spec(), {});
  };
  expect_error(ErrorCode::kInvalidShape, {"[?, 3, 16, 9]", "[?, 3, 16, 8]"},
               [&] { with([](MeanEngine& e) { e.inputs_[0].shape[3] = 9; }); });
  expect_error(ErrorCode::kInvalidShape, {"'features'", "[?, ?]"},
               [&] { with([](MeanEngine& e) { e.outputs_[0].shape[1] = -1; }); });
  expect_error(ErrorCode::kInvalidShape, {"'images'", "float16", "FP32"},
               [&] { with([](MeanEngine& e) { e.inputs_[0].dtype = DType::kFloat16; }); });
  expect_error(ErrorCode::kInvalidShape, {"cuda:0"},
               [&] { with([](MeanEngine& e) { e.device_ = Device::cuda(0); }); });
}

TEST(Embedder, FillsTheObjectsAskedForInBatches) {
  const auto engine = std::make_shared<MeanEngine>(2);
  const auto embedder = make_cpu_embedder(engine, embed_spec());
  EXPECT_EQ(embedder->embedding_size(), 3);
  Frame frame = plain(255, 0, 0, 0);
  auto* pixels = const_cast<std::uint8_t*>(frame.planes[0].data);
  for (int y = 0; y < 10; ++y) {
    for (int x = 10; x < 20; ++x) {  // right half green
      pixels[frame.planes[0].stride * y + 3 * x] = 0;
      pixels[frame.planes[0].stride * y + 3 * x + 1] = 255;
    }
  }
  Detections detections;
  detections.boxes = {{0, 0, 10, 10}, {10, 0, 20, 10}, {12, 2, 18, 9}, {0, 0, 4, 4}};
  detections.scores = {1, 1, 1, 1};
  detections.classes = {0, 0, 0, 0};
  embedder->embed(frame, detections);
  EXPECT_EQ(engine->batches, (std::vector<int>{2, 2}));
  const float wanted[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 1, 0}, {1, 0, 0}};
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t c = 0; c < 3; ++c)
      EXPECT_NEAR(detections.embedding_of(i)[c], wanted[i][c], 1e-6);
  }
  const int some[] = {1};
  embedder->embed(frame, detections, some);
  EXPECT_EQ(detections.embedding_of(0)[0], 0.0f);
  EXPECT_FLOAT_EQ(detections.embedding_of(1)[1], 1.0f);
  EXPECT_EQ(detections.embeddings.size(), 12u);
  const int wrong[] = {4};
  expect_error(ErrorCode::kInvalidArgument, {"object 4 of 4"},
               [&] { embedder->embed(frame, detections, wrong); });
  Detections none;
  embedder->embed(frame, none);
  EXPECT_TRUE(none.embeddings.empty());
}

TEST(Embedder, TakesEmbeddingModelsOnly) {
  TaskSpec spec = embed_spec();
  spec.task = Task::kClassify;
  spec.head = Head::kClassify;
  expect_error(ErrorCode::kInvalidArgument, {"classify", "--reid"},
               [&] { make_cpu_embedder(std::make_shared<MeanEngine>(1), spec); });
}

}  // namespace
}  // namespace peregrine::vision
