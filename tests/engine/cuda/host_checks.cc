// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/host_checks.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "compiler/passes.h"
#include "engine/cuda/run_on_host.h"
#include "model/convert.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"

namespace peregrine::testing {
namespace {

using cuda::Precision;

model::Graph inferred(const ModelBuilder& model) {
  model::Graph graph = model.graph();
  model::infer(graph, {.batch = 0});
  compiler::to_float32(graph);
  return graph;
}

void expect_same(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) {
    ASSERT_EQ(actual[k].dtype(), expected[k].dtype());
    ASSERT_EQ(actual[k].shape(), expected[k].shape());
    if (!model::is_float(expected[k].dtype())) {
      const Tensor a = model::convert(actual[k], DType::kInt64);
      const Tensor e = model::convert(expected[k], DType::kInt64);
      for (std::int64_t i = 0; i < e.size(); ++i) {
        EXPECT_EQ(a.as<std::int64_t>()[std::size_t(i)], e.as<std::int64_t>()[std::size_t(i)])
            << "element " << i;
      }
      continue;
    }
    const Tensor a = model::convert(actual[k], DType::kFloat32);
    const Tensor e = model::convert(expected[k], DType::kFloat32);
    for (std::size_t i = 0; i < std::size_t(e.size()); ++i) {
      const float want = e.as<float>()[i], got = a.as<float>()[i];
      if (std::isnan(want) || std::isinf(want)) {
        EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : got == want)
            << "element " << i << ": " << got << ", not " << want;
      } else {
        EXPECT_NEAR(got, want, tolerance * std::max(1.0F, std::abs(want))) << "element " << i;
      }
    }
  }
}

}  // namespace

std::vector<compiler::Step> steps_of(const ModelBuilder& model) {
  const model::Graph graph = inferred(model);
  return cuda::lower_to_plan(std::span(&graph, 1), Precision::kFloat32).programs.front().steps;
}

void expect_right(const ModelBuilder& model, std::span<const Tensor> inputs, double tolerance) {
  const model::Graph graph = inferred(model);
  const std::vector<Tensor> expected = model::run_graph(model.graph(), inputs);
  for (const bool wide : {true, false}) {
    SCOPED_TRACE(wide ? "wide" : "scattered");
    expect_same(run_on_host(graph, Precision::kFloat32, inputs, wide), expected, tolerance);
  }
}

// append, not +: GCC 12 sees an overlap in operator+ that is not there (bug 105651).
std::string indexed(const char* stem, std::size_t i) {
  return std::string(stem).append(std::to_string(i));
}

ModelBuilder one_node(const char* op, const std::vector<Tensor>& inputs,
                      const model::Attributes& attrs) {
  ModelBuilder model(20);
  std::vector<std::string> names;
  for (const Tensor& input : inputs) {
    names.push_back(indexed("x", names.size()));
    model.input(names.back(), input.shape(), input.dtype());
  }
  model.node(op, names, {"y"}, attrs).output("y");
  return model;
}

void expect_node(const char* op, const std::vector<Tensor>& inputs,
                 const model::Attributes& attrs) {
  SCOPED_TRACE(op);
  expect_right(one_node(op, inputs, attrs), inputs);
}
}  // namespace peregrine::testing
