// SPDX-License-Identifier: Apache-2.0
// All passes on real models: how few nodes are left, and that answers stay.
#include <algorithm>
#include <cctype>
#include <map>

#include <gtest/gtest.h>

#include "compiler/compile_graph.h"
#include "compiler/pass_testing.h"
#include "model/model_builder.h"
#include "model/onnx_reader.h"
#include "model/shape_inference.h"
#include "testing/shared_data.h"

namespace peregrine {
namespace {

using model::Graph;
using model::Op;
using testing::count;

struct Expectation {
  const char* file;
  int most_nodes;
  int attentions;
  int layer_norms;
};

void PrintTo(const Expectation& expectation, std::ostream* out) { *out << expectation.file; }

// What the passes leave of each model: fewer nodes is better, more is a pass that stopped matching.
// DETR's first decoder layer attends to a constant: one attention and one norm fold away.
class RealModels : public ::testing::TestWithParam<Expectation> {};

TEST_P(RealModels, BecomeFewNodes) {
  const Expectation& expected = GetParam();
  PEREGRINE_SHARED_FILE(path, std::string("models/") + expected.file);
  Graph graph = testing::read_with_weights(path);
  model::infer(graph, {.batch = 8});
  compiler::compile_graph(graph);
  std::map<std::string, int> ops;
  for (const model::Node* node : graph.nodes()) ++ops[to_string(node->op())];
  std::string left;
  for (const auto& [op, number] : ops) left += op + " " + std::to_string(number) + ", ";
  EXPECT_LE(graph.nodes().size(), static_cast<std::size_t>(expected.most_nodes)) << left;
  EXPECT_EQ(count(graph, Op::kAttention), expected.attentions) << left;
  EXPECT_EQ(count(graph, Op::kLayerNormalization), expected.layer_norms) << left;
}

INSTANTIATE_TEST_SUITE_P(
    Shared, RealModels,
    ::testing::Values(Expectation{"osnet_x0_25.onnx", 247, 0, 0},
                      Expectation{"coco/yolo11n.onnx", 155, 1, 0},
                      Expectation{"coco/yolo11n-pose.onnx", 169, 1, 0},
                      Expectation{"coco/yolov8n-seg-320.onnx", 126, 0, 0},
                      Expectation{"graphs/clip-vit-b32.graph.onnx", 105, 12, 26},
                      Expectation{"graphs/depth-anything-v2-s.graph.onnx", 162, 12, 28},
                      Expectation{"graphs/detr-r50.graph.onnx", 240, 17, 30},
                      Expectation{"graphs/yolo11m.graph.onnx", 185, 1, 0},
                      Expectation{"graphs/yolo11n-pose.graph.onnx", 177, 1, 0},
                      Expectation{"graphs/yolo11n-seg.graph.onnx", 171, 1, 0},
                      Expectation{"graphs/yolo11n.graph.onnx", 155, 1, 0},
                      Expectation{"graphs/yolo11s.graph.onnx", 155, 1, 0},
                      Expectation{"graphs/yolo12n.graph.onnx", 255, 8, 0}),
    [](const auto& each) {
      std::string name = each.param.file;
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
      return name;
    });

TEST(RealModelAnswers, OsnetKeepsItsAnswers) {
  PEREGRINE_SHARED_FILE(path, "models/osnet_x0_25.onnx");
  const Graph graph = testing::expect_unchanged(
      model::read_onnx(path), [](Graph& g) { compiler::compile_graph(g); }, 1, 1e-4F);
  EXPECT_EQ(count(graph, Op::kBatchNormalization), 0);
}

TEST(RealModelAnswers, YoloSegKeepsItsAnswers) {
  PEREGRINE_SHARED_FILE(path, "models/coco/yolov8n-seg-320.onnx");
  testing::expect_unchanged(
      model::read_onnx(path), [](Graph& g) { compiler::compile_graph(g); }, 1, 1e-4F);
}

}  // namespace
}  // namespace peregrine
