// SPDX-License-Identifier: Apache-2.0
// Whole models against ONNX Runtime: tools/model/expected_models.py wrote data/models.json.
#include <algorithm>
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "model/cost.h"
#include "model/model_builder.h"
#include "model/onnx_reader.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"
#include "testing/shared_data.h"

namespace peregrine {
namespace {

using model::Op;

nlohmann::json expectations() {
  std::ifstream file(std::string(PEREGRINE_SOURCE_DIR) + "/tests/model/data/models.json");
  return nlohmann::json::parse(file);
}

std::uint32_t crc32(const std::string& text) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

// The ops of expected_models.py.
bool is_listed(Op op) {
  constexpr Op kListed[] = {Op::kConv,    Op::kConvTranspose, Op::kMatMul,
                            Op::kGemm,    Op::kSoftmax,       Op::kLayerNormalization,
                            Op::kMaxPool, Op::kAveragePool,   Op::kGlobalAveragePool,
                            Op::kResize};
  return std::find(std::begin(kListed), std::end(kListed), op) != std::end(kListed);
}

class WholeModel : public ::testing::TestWithParam<const char*> {};

TEST_P(WholeModel, HasTheShapesOnnxRuntimeGives) {
  PEREGRINE_SHARED_FILE(path, std::string("models/") + GetParam());
  const nlohmann::json expected = expectations().at(GetParam()).at("shapes");
  const model::Graph graph = testing::read_with_weights(path);
  for (const int batch : {1, 3}) {
    model::Graph bound = graph.clone();
    model::infer(bound, {.batch = batch});
    std::vector<std::string> lines;
    for (const model::Node* node : bound.nodes()) {
      if (!is_listed(node->op())) continue;
      lines.push_back(node->output()->name + " " + to_string(node->output()->shape) + "\n");
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& line : lines) text += line;
    const nlohmann::json& digest = expected.at(std::to_string(batch));
    EXPECT_EQ(lines.size(), digest.at("count").get<std::size_t>()) << "batch " << batch;
    EXPECT_EQ(crc32(text), digest.at("crc32").get<std::uint32_t>()) << "batch " << batch << "\n"
                                                                    << text;
    for (const model::Node* node : bound.nodes()) {
      EXPECT_NE(node->op(), Op::kShape) << "the arithmetic on shapes folds away";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shared, WholeModel,
    ::testing::Values("osnet_x0_25.onnx", "coco/yolo11n.onnx", "coco/yolo11n-pose.onnx",
                      "coco/yolov8n-seg-320.onnx", "graphs/clip-vit-b32.graph.onnx",
                      "graphs/depth-anything-v2-s.graph.onnx", "graphs/detr-r50.graph.onnx",
                      "graphs/yolo11m.graph.onnx", "graphs/yolo11n-pose.graph.onnx",
                      "graphs/yolo11n-seg.graph.onnx", "graphs/yolo11n.graph.onnx",
                      "graphs/yolo11s.graph.onnx", "graphs/yolo12n.graph.onnx"),
    [](const auto& each) {
      std::string name = each.param;
      std::replace_if(
          name.begin(), name.end(),
          [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
      return name;
    });

// A hash of the index, in [0, 1): the input expected_models.py uses.
Tensor pattern(const Shape& shape) {
  Tensor tensor(DType::kFloat32, shape);
  std::uint64_t i = 0;
  for (float& value : tensor.as<float>()) {
    value = static_cast<float>(static_cast<double>((i++ * 2654435761U) % (std::uint64_t{1} << 32)) /
                               0x1p32);
  }
  return tensor;
}

void expect_outputs(const char* name) {
  PEREGRINE_SHARED_FILE(path, std::string("models/") + name);
  const nlohmann::json expected = expectations().at(name).at("outputs");
  const model::Graph graph = model::read_onnx(path);
  Shape shape = graph.inputs()[0]->shape;
  shape[0] = 1;
  std::vector<Tensor> inputs;
  inputs.push_back(pattern(shape));
  const std::vector<Tensor> outputs = model::run_graph(graph, inputs);
  ASSERT_EQ(outputs.size(), expected.size());
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const auto values = outputs[k].as<float>();
    EXPECT_EQ(outputs[k].shape(), expected[k].at("shape").get<Shape>());
    double squares = 0;
    for (const float value : values)
      squares += static_cast<double>(value) * static_cast<double>(value);
    EXPECT_NEAR(std::sqrt(squares) / expected[k].at("norm").get<double>(), 1, 1e-5);
    const double typical = std::sqrt(squares / static_cast<double>(values.size()));
    for (std::size_t i = 0; i < expected[k].at("at").size(); ++i) {
      const double wanted = expected[k].at("values")[i].get<double>();
      const auto at = expected[k].at("at")[i].get<std::size_t>();
      EXPECT_NEAR(static_cast<double>(values[at]), wanted, 1e-4 * (typical + std::abs(wanted)))
          << at;
    }
  }
}

TEST(WholeModelValues, OsnetIsWhatOnnxRuntimeComputes) { expect_outputs("osnet_x0_25.onnx"); }
TEST(WholeModelValues, YoloSegIsWhatOnnxRuntimeComputes) {
  expect_outputs("coco/yolov8n-seg-320.onnx");
}

TEST(Cost, Yolo11nHasItsPublishedSize) {
  PEREGRINE_SHARED_FILE(path, "models/coco/yolo11n.onnx");
  model::Graph graph = model::read_onnx(path);
  model::infer(graph, {.batch = 1});
  const model::GraphCost cost = model::graph_cost(graph);
  // Published: 2.6 M parameters and 6.5 GFLOPs at 640.
  EXPECT_NEAR(static_cast<double>(cost.parameters) / 1e6, 2.6, 0.1);
  EXPECT_NEAR(static_cast<double>(cost.flops) / 1e9, 6.5, 0.3);
  EXPECT_EQ(cost.ops.at("Conv"), 88);
}

}  // namespace
}  // namespace peregrine
