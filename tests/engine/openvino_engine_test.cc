// SPDX-License-Identifier: Apache-2.0
// Expected values come from ONNX Runtime: data/make_engine_data.py.
#include "engine/openvino/openvino_engine.h"

#include <cmath>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "testing/expect_error.h"
#include "testing/shared_data.h"
#include "testing/temporary_folder.h"

namespace peregrine::engine {
namespace {

using testing::expect_error;

std::string data(const std::string& name) {
  return std::string(PEREGRINE_SOURCE_DIR) + "/tests/engine/data/" + name;
}

const nlohmann::json& expected(const std::string& model) {
  static const nlohmann::json all = nlohmann::json::parse(std::ifstream(data("expected.json")));
  return all.at(model);
}

// The formula of make_engine_data.py.
Tensor pictures(const Shape& shape) {
  Tensor tensor(DType::kFloat32, shape);
  std::span<float> values = tensor.as<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(static_cast<double>(i * 7919 % 1009) / 1009);
  }
  return tensor;
}

std::vector<Tensor> make_outputs(const Engine& engine, int batch) {
  std::vector<Tensor> tensors;
  for (const TensorSpec& spec : engine.outputs()) {
    Shape shape = spec.shape;
    EXPECT_EQ(shape[0], -1) << spec.name;
    shape[0] = batch;
    tensors.push_back(Tensor::zeros(spec.dtype, shape));
  }
  return tensors;
}

std::vector<TensorView> views(std::vector<Tensor>& tensors) {
  std::vector<TensorView> result;
  for (Tensor& tensor : tensors) result.push_back(tensor.view());
  return result;
}

std::vector<Tensor> run(const Engine& engine, TensorView input) {
  const int batch = static_cast<int>(input.shape[0]);
  std::vector<Tensor> outputs = make_outputs(engine, batch);
  const auto context = engine.create_context();
  context->enqueue(std::span(&input, 1), views(outputs), batch);
  context->wait();
  return outputs;
}

// `tolerance` is relative to each output's largest expected value: float16 outputs 1e-3.
void expect_outputs(const std::vector<Tensor>& outputs, const nlohmann::json& answer,
                    double tolerance) {
  ASSERT_EQ(outputs.size(), answer.at("outputs").size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const nlohmann::json& wanted = answer["outputs"][i];
    ASSERT_EQ(outputs[i].shape(), wanted.at("shape").get<Shape>());
    const auto places = wanted.at("places").get<std::vector<std::size_t>>();
    const auto values = wanted.at("values").get<std::vector<float>>();
    float largest = 0;
    for (const float value : values) largest = std::max(largest, std::abs(value));
    for (std::size_t k = 0; k < places.size(); ++k) {
      EXPECT_NEAR(outputs[i].as<float>()[places[k]], values[k], tolerance * largest)
          << wanted["name"] << " at " << places[k];
    }
  }
}

TEST(OpenVinoEngine, DescribesItself) {
  const auto engine = make_openvino_engine(data("tiny.onnx"), {.threads = 2, .max_batch = 3});
  ASSERT_EQ(engine->inputs().size(), 1u);
  EXPECT_EQ(engine->inputs()[0].name, "images");
  EXPECT_EQ(engine->inputs()[0].shape, (Shape{-1, 3, 16, 16}));
  ASSERT_EQ(engine->outputs().size(), 2u);
  EXPECT_EQ(engine->outputs()[0].shape, (Shape{-1, 5, 8, 8}));
  EXPECT_EQ(engine->outputs()[1].dtype, DType::kFloat32) << "float16 leaves as float32";
  EXPECT_EQ(engine->max_batch(), 3);
  EXPECT_GE(engine->recommended_contexts(), 1);
  EXPECT_EQ(engine->description(), "OpenVINO " + openvino_version() + " (CPU, FP32)");
  EXPECT_TRUE(engine->device().is_cpu());
}

TEST(OpenVinoEngine, AnswersAsOnnxRuntime) {
  for (const bool latency : {false, true}) {
    const auto engine =
        make_openvino_engine(data("tiny.onnx"), {.max_batch = 3, .latency = latency});
    Tensor input = pictures({3, 3, 16, 16});
    expect_outputs(run(*engine, input.view()), expected("tiny"), 1e-3);
  }
}

TEST(OpenVinoEngine, APicturesAnswerDoesNotDependOnItsBatch) {
  const auto engine = make_openvino_engine(data("tiny.onnx"), {.max_batch = 4});
  Tensor input = pictures({3, 3, 16, 16});
  std::vector<Tensor> together = run(*engine, input.view());
  for (int item = 0; item < 3; ++item) {
    const std::vector<Tensor> alone = run(*engine, input.view().slice(item, 1));
    for (std::size_t i = 0; i < alone.size(); ++i) {
      const TensorView slot = together[i].view().slice(item, 1);
      EXPECT_TRUE(
          std::equal(alone[i].as<float>().begin(), alone[i].as<float>().end(), slot.as<float>()));
    }
  }
}

TEST(OpenVinoEngine, TakesTheSizeOfAModelThatLeavesItOpen) {
  const auto engine = make_openvino_engine(data("open_size.onnx"),
                                           {.max_batch = 3, .input_height = 10, .input_width = 14});
  EXPECT_EQ(engine->inputs()[0].shape, (Shape{-1, 3, 10, 14}));
  Tensor input = pictures({3, 3, 10, 14});
  expect_outputs(run(*engine, input.view()), expected("open_size"), 1e-3);
}

TEST(OpenVinoEngine, SharedModelsAnswerAsOnnxRuntime) {
  for (const char* name : {"coco/yolo11n.onnx", "osnet_x0_25.onnx"}) {
    PEREGRINE_SHARED_FILE(path, std::string("models/") + name);
    const auto engine = make_openvino_engine(path, {.max_batch = 3});
    const nlohmann::json& answer = expected(name);
    Shape shape = answer.at("input").get<Shape>();
    shape.insert(shape.begin(), 3);
    Tensor input = pictures(shape);
    expect_outputs(run(*engine, input.view()), answer, 1e-4);
  }
}

TEST(OpenVinoEngine, ContextsRunSideBySide) {
  const auto engine = make_openvino_engine(data("tiny.onnx"), {.max_batch = 3});
  std::vector<std::thread> threads;
  for (int caller = 0; caller < 4; ++caller) {
    threads.emplace_back([&engine] {
      const auto context = engine->create_context();
      Tensor input = pictures({3, 3, 16, 16});
      for (int round = 0; round < 25; ++round) {
        const int batch = 1 + round % 3;
        std::vector<Tensor> outputs = make_outputs(*engine, batch);  // new memory: bound anew
        const TensorView slice = input.view().slice(0, batch);
        context->enqueue(std::span(&slice, 1), views(outputs), batch);
        context->wait();
        EXPECT_NEAR(outputs[0].as<float>()[0], expected("tiny")["outputs"][0]["values"][0], 1e-4);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(OpenVinoEngine, AContextThatGoesAwayInFlightLeavesMemoryAlone) {
  const auto engine = make_openvino_engine(data("tiny.onnx"), {});
  Tensor input = pictures({1, 3, 16, 16});
  const TensorView view = input.view();
  std::vector<Tensor> outputs = make_outputs(*engine, 1);
  {
    const auto context = engine->create_context();
    context->enqueue(std::span(&view, 1), views(outputs), 1);
  }
  const float finished = outputs[0].as<float>()[0];
  EXPECT_NEAR(finished, expected("tiny")["outputs"][0]["values"][0], 1e-4);
}

TEST(OpenVinoEngine, RefusesBindingsThatDoNotFit) {
  const auto engine = make_openvino_engine(data("tiny.onnx"), {.max_batch = 2});
  const auto context = engine->create_context();
  Tensor input = pictures({2, 3, 16, 16});
  std::vector<Tensor> outputs = make_outputs(*engine, 2);
  const auto enqueue = [&](const TensorView& in, std::vector<TensorView> out, int batch) {
    return [&context, in, out, batch] { context->enqueue(std::span(&in, 1), out, batch); };
  };
  const auto kShape = ErrorCode::kInvalidShape;
  expect_error(kShape, {"batch 3 is outside 1 to 2"}, enqueue(input.view(), views(outputs), 3));
  expect_error(kShape, {"batch 0"}, enqueue(input.view(), views(outputs), 0));
  expect_error(kShape, {"'images' has shape [2, 3, 16, 16]", "[1, 3, 16, 16] at batch 1"},
               enqueue(input.view(), views(outputs), 1));
  Tensor bytes = Tensor::zeros(DType::kUint8, {2, 3, 16, 16});
  expect_error(kShape, {"input 'images' is uint8", "float32"},
               enqueue(bytes.view(), views(outputs), 2));
  TensorView gaps = input.view();
  gaps.strides[0] *= 2;
  expect_error(kShape, {"not packed"}, enqueue(gaps, views(outputs), 2));
  TensorView elsewhere = input.view();
  elsewhere.device = Device::cuda(1);
  expect_error(kShape, {"is on cuda:1", "engine is on cpu"}, enqueue(elsewhere, views(outputs), 2));
  TensorView nothing = input.view();
  nothing.data = nullptr;
  expect_error(kShape, {"no memory"}, enqueue(nothing, views(outputs), 2));
  expect_error(kShape, {"2 output(s), 1 were bound"},
               enqueue(input.view(), {outputs[0].view()}, 2));
  expect_error(ErrorCode::kInvalidArgument, {"enqueue before wait"}, [&] {
    enqueue(input.view(), views(outputs), 2)();
    enqueue(input.view(), views(outputs), 2)();
  });
  context->wait();
  enqueue(input.view(), views(outputs), 2)();  // usable after every refusal
  context->wait();
}

TEST(OpenVinoEngine, RefusesWhatItCannotRunAndSaysWhy) {
  const auto make = [](const std::string& path, OpenVinoOptions options = {}) {
    return [path, options] { make_openvino_engine(path, options); };
  };
  expect_error(ErrorCode::kModelInvalid, {"nothing.onnx' does not exist"},
               make(data("nothing.onnx")));
  expect_error(ErrorCode::kModelInvalid, {"is not a file"}, make(data("")));
  expect_error(ErrorCode::kModelUnsupported, {"unknown_op.onnx", "acme.Frobnicate"},
               make(data("unknown_op.onnx")));
  expect_error(ErrorCode::kModelUnsupported, {"open_size.onnx", "'images'", "--imgsz"},
               make(data("open_size.onnx")));
  expect_error(ErrorCode::kModelUnsupported, {"no_batch.onnx", "no batch dimension"},
               make(data("no_batch.onnx")));
  expect_error(ErrorCode::kModelUnsupported, {"data_dependent.onnx", "output 'y'"},
               make(data("data_dependent.onnx")));
  expect_error(ErrorCode::kModelUnsupported, {"cannot take one picture", "[1,3,1,1]"},
               make(data("open_size.onnx"), {.input_height = 1, .input_width = 1}));
  expect_error(ErrorCode::kInvalidArgument, {"batch 0"}, make(data("tiny.onnx"), {.max_batch = 0}));
}

TEST(OpenVinoEngine, RefusesGarbageAndTruncatedFiles) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "broken.onnx";
  std::ifstream whole(data("tiny.onnx"), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(whole), {}};
  for (const std::string& content :
       {std::string(), std::string("not a model at all"), bytes.substr(0, bytes.size() / 2)}) {
    std::ofstream(path, std::ios::binary) << content;
    expect_error(ErrorCode::kModelInvalid, {"broken.onnx", "not a usable ONNX file"},
                 [&] { make_openvino_engine(path, {}); });
  }
}

}  // namespace
}  // namespace peregrine::engine
