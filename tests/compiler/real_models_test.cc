// SPDX-License-Identifier: Apache-2.0
// The whole pipeline on real models: how few nodes are left, that answers stay, how tight the
// arena.
#include <gtest/gtest.h>

#include "compiler/compile_graph.h"
#include "compiler/memory_planner.h"
#include "compiler/pass_testing.h"
#include "model/onnx_reader.h"
#include "model/shape_inference.h"
#include "testing/shared_data.h"

namespace peregrine {
namespace {

using model::Graph;
using model::Op;
using testing::count;

// FP16, channels padded to 8 as the CUDA engine stores them.
std::size_t half_bytes(const model::Value& value) {
  Shape shape = value.shape;
  if (shape.size() == 4) shape[1] = (shape[1] + 7) / 8 * 8;
  return static_cast<std::size_t>(element_count(shape)) * 2;
}

Graph compiled(const std::string& path, int batch) {
  Graph graph = model::read_onnx(path);
  model::infer(graph, {.batch = batch});
  compiler::compile_graph(graph);
  return graph;
}

void expect_tight_arena(const Graph& graph) {
  const compiler::ViewPlan views = compiler::plan_views(graph, {Op::kConv, Op::kConcat});
  const auto memory = compiler::plan_graph_memory(graph, views, half_bytes);
  EXPECT_LE(static_cast<double>(memory.arena.bytes), 1.15 * static_cast<double>(memory.arena.peak));
  EXPECT_GT(memory.arena.peak, 0U);
}

TEST(RealModels, Yolo11nBecomesFewNodes) {
  PEREGRINE_SHARED_FILE(path, "models/coco/yolo11n.onnx");
  const Graph graph = compiled(path, 1);
  // 676 nodes in the file. What stays beside convolutions is attention, pooling, splits and the
  // head.
  EXPECT_LE(count(graph, Op::kConv), 88);
  EXPECT_EQ(count(graph, Op::kSilu) + count(graph, Op::kSigmoid), 1) << "the class scores alone";
  EXPECT_EQ(count(graph, Op::kAttention), 1);
  EXPECT_LE(graph.nodes().size(), 150U);
  expect_tight_arena(graph);
}

TEST(RealModels, ArenasAreTight) {
  PEREGRINE_SHARED_FILE(pose, "models/coco/yolo11n-pose.onnx");
  PEREGRINE_SHARED_FILE(seg, "models/coco/yolov8n-seg-320.onnx");
  PEREGRINE_SHARED_FILE(osnet, "models/osnet_x0_25.onnx");
  for (const std::string& path : {pose, seg, osnet}) {
    for (const int batch : {1, 8}) expect_tight_arena(compiled(path, batch));
  }
}

TEST(RealModels, OsnetKeepsItsAnswers) {
  PEREGRINE_SHARED_FILE(path, "models/osnet_x0_25.onnx");
  const Graph graph = testing::expect_unchanged(
      model::read_onnx(path), [](Graph& g) { compiler::compile_graph(g); }, 1, 1e-4F);
  EXPECT_EQ(count(graph, Op::kBatchNormalization), 0);
}

TEST(RealModels, YoloSegKeepsItsAnswers) {
  PEREGRINE_SHARED_FILE(path, "models/coco/yolov8n-seg-320.onnx");
  testing::expect_unchanged(
      model::read_onnx(path), [](Graph& g) { compiler::compile_graph(g); }, 1, 1e-4F);
}

}  // namespace
}  // namespace peregrine
