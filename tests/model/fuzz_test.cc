// SPDX-License-Identifier: Apache-2.0
// Mutated models through the reader and inference: an answer or an Error, never a crash, a hang or
// a large allocation. 60 mutations; PEREGRINE_FUZZ_ITERATIONS=500 (as under the asan preset) for
// more.
#include <chrono>
#include <cstdlib>
#include <random>

#include <sys/resource.h>

#include <gtest/gtest.h>

#include "model/cost.h"
#include "model/model_builder.h"
#include "model/onnx_reader.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine {
namespace {

using model::Ints;
using testing::attributes;
using testing::ModelBuilder;

// Small models that between them hold most shapes of op and attribute.
std::vector<ModelBuilder> seeds() {
  std::vector<ModelBuilder> models;
  models.emplace_back()
      .input("x", {-1, 4, 12, 12})
      .weights("w", {8, 4, 3, 3}, 1)
      .weights("b", {8}, 2)
      .node("Conv", {"x", "w", "b"}, {"c"},
            attributes({{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}}))
      .node("Sigmoid", {"c"}, {"s"})
      .node("Mul", {"c", "s"}, {"m"})
      .node("MaxPool", {"m"}, {"p"},
            attributes({{"kernel_shape", Ints{3, 3}}, {"ceil_mode", std::int64_t{1}}}))
      .floats("scales", {4}, std::vector<float>{1, 1, 2, 2})
      .node("Resize", {"p", "", "scales"}, {"r"})
      .output("r");
  models.emplace_back()
      .input("x", {-1, 6, 8})
      .node("Shape", {"x"}, {"shape"})
      .ints("zero", {0})
      .ints("rest", {2, 24})
      .node("Gather", {"shape", "zero"}, {"n"})
      .node("Concat", {"n", "rest"}, {"to"}, attributes({{"axis", std::int64_t{0}}}))
      .node("Reshape", {"x", "to"}, {"y"})
      .node("Transpose", {"y"}, {"t"}, attributes({{"perm", Ints{0, 2, 1}}}))
      .node("MatMul", {"y", "t"}, {"q"})
      .node("Softmax", {"q"}, {"z"})
      .output("z");
  models.emplace_back()
      .input("x", {-1, 16})
      .ints("k", {4})
      .ints("starts", {1})
      .ints("ends", {9})
      .ints("axes", {1})
      .node("Slice", {"x", "starts", "ends", "axes"}, {"s"})
      .node("TopK", {"s", "k"}, {"v", "i"})
      .node("Expand", {"v", "big"}, {"e"})
      .ints("big", {3, 1, 4})
      .ints("pads", {0, 0, 1, 0, 0, 2})
      .node("Pad", {"e", "pads"}, {"p"})
      .ints("repeats", {2, 1, 1})
      .node("Tile", {"p", "repeats"}, {"y"})
      .output("y");
  models.emplace_back()
      .input("x", {1, 4})
      .ints("shape", {64, 64})
      .node("ConstantOfShape", {"shape"}, {"a"})
      .node("MatMul", {"a", "a"}, {"b"})
      .node("Einsum", {"b", "a"}, {"c"}, attributes({{"equation", std::string("ij,jk->ik")}}))
      .node("ReduceSum", {"c"}, {"d"})
      .node("Add", {"x", "d"}, {"y"})
      .output("y");
  return models;
}

std::int64_t extreme(std::mt19937& random) {
  constexpr std::int64_t kValues[] = {
      0, -1, 1, 2, 255, 65536, 1LL << 31, 1LL << 40, (1LL << 62) + 1, INT64_MAX, INT64_MIN};
  return kValues[random() % std::size(kValues)];
}

// One hostile change of structure: a dimension, an attribute, a constant or a name.
void mutate_structure(onnx::ModelProto& proto, std::mt19937& random) {
  onnx::GraphProto& graph = *proto.mutable_graph();
  auto& node =
      *graph.mutable_node(static_cast<int>(random() % static_cast<unsigned>(graph.node_size())));
  switch (random() % 6) {
    case 0: {
      auto& shape = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
      shape.mutable_dim(static_cast<int>(random() % static_cast<unsigned>(shape.dim_size())))
          ->set_dim_value(extreme(random));
      break;
    }
    case 1: {
      if (graph.initializer_size() == 0) break;
      auto& tensor = *graph.mutable_initializer(
          static_cast<int>(random() % static_cast<unsigned>(graph.initializer_size())));
      if (tensor.dims_size() > 0) tensor.set_dims(0, extreme(random));
      break;
    }
    case 2: {  // contents of a constant: sizes, axes, repeats
      if (graph.initializer_size() == 0) break;
      auto& tensor = *graph.mutable_initializer(
          static_cast<int>(random() % static_cast<unsigned>(graph.initializer_size())));
      std::string& raw = *tensor.mutable_raw_data();
      const std::int64_t value = extreme(random);
      if (raw.size() >= 8) raw.replace(0, 8, reinterpret_cast<const char*>(&value), 8);
      break;
    }
    case 3: {
      if (node.attribute_size() == 0) break;
      auto& attribute = *node.mutable_attribute(0);
      if (attribute.ints_size() > 0)
        attribute.set_ints(0, extreme(random));
      else
        attribute.set_i(extreme(random));
      break;
    }
    case 4: node.set_op_type(random() % 2 != 0 ? "Concat" : "Gemm"); break;
    default:
      node.set_input(
          0, graph.node(static_cast<int>(random() % static_cast<unsigned>(graph.node_size())))
                 .output(0));
  }
}

std::string mutate(const ModelBuilder& seed, std::mt19937& random) {
  ModelBuilder copy = seed;
  const unsigned kind = random() % 3;
  if (kind == 0) {
    for (unsigned i = 0; i <= random() % 2; ++i) mutate_structure(copy.proto(), random);
    return copy.bytes();
  }
  std::string bytes = copy.bytes();
  if (kind == 1) return bytes.substr(0, random() % bytes.size());
  for (unsigned i = 0; i <= random() % 8; ++i)
    bytes[random() % bytes.size()] ^= static_cast<char>(1U << (random() % 8));
  return bytes;
}

long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(OnnxReaderFuzz, AnswersOrThrowsAnError) {
  const char* asked = std::getenv("PEREGRINE_FUZZ_ITERATIONS");
#ifdef __SANITIZE_ADDRESS__
  constexpr int kUsual = 500;
#else
  constexpr int kUsual = 60;
#endif
  const int iterations = asked ? std::atoi(asked) : kUsual;
  const std::vector<ModelBuilder> models = seeds();
  for (const ModelBuilder& seed : models) {  // unharmed, each must pass
    model::Graph graph = seed.graph();
    model::infer(graph, {.batch = 1});
  }
  const long before = peak_kilobytes();
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < iterations; ++i) {
    std::mt19937 random(static_cast<unsigned>(i));
    const std::string bytes = mutate(models[random() % models.size()], random);
    const auto start = std::chrono::steady_clock::now();
    try {
      model::Graph graph = model::read_onnx(bytes, "fuzz.onnx");
      model::infer(graph, {.batch = 1});
      model::graph_cost(graph);
      ++accepted;
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::kInternal) << "mutation " << i << ": " << error.what();
      EXPECT_FALSE(std::string(error.what()).empty());
      ++refused;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 5) << "mutation " << i;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_GT(refused, iterations / 4);
  EXPECT_LT(peak_kilobytes() - before, 1 << 20) << "a mutation took more than 1 GiB";
}

}  // namespace
}  // namespace peregrine
