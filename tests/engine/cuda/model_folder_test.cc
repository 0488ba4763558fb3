// SPDX-License-Identifier: Apache-2.0
// Whole models lowered and computed on the host, against answers of another runtime. They lie in
// the layout of ONNX's tests, NAME/model.onnx beside NAME/test_data_set_N, in the folder that
// $PEREGRINE_MODEL_TESTS names; small pictures keep the plain loops quick. Each data set says the
// batch.
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "compiler/compile_graph.h"
#include "compiler/plan_check.h"
#include "engine/cuda/run_on_host.h"
#include "eval/output_difference.h"
#include "model/convert.h"
#include "model/onnx_node_cases.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine::testing {
namespace {

using cuda::Precision;

model::Graph compiled_for(const OnnxNodeCase& each, const OnnxNodeData& data) {
  model::Graph graph = read_graph(each);
  model::InferOptions options{.batch = data.inputs.at(0).shape().at(0), .bound_lengths = true};
  if (const Shape& x = data.inputs[0].shape(); x.size() == 4) {
    options.height = x[2], options.width = x[3];
  }
  model::infer(graph, options);
  compiler::compile_graph(graph);
  return graph;
}

// Of the worst output; all kinds of numbers are taken as floats.
double worst_error(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  double worst = 0;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    EXPECT_EQ(actual[k].shape(), expected[k].shape()) << "output " << k;
    if (actual[k].shape() != expected[k].shape()) continue;
    const double error = eval::relative_l2(model::convert(actual[k], DType::kFloat32),
                                           model::convert(expected[k], DType::kFloat32));
    if (!(error <= worst)) worst = error;  // NaN, too
  }
  return worst;
}

void check(const OnnxNodeCase& each, const OnnxNodeData& data, Precision precision) {
  const bool halves = precision == Precision::kFloat16;
  const std::int64_t batch = data.inputs.at(0).shape().at(0);
  SCOPED_TRACE(each.name() + (halves ? " FP16" : " FP32") + " batch " + std::to_string(batch));
  try {
    const model::Graph graph = compiled_for(each, data);
    const compiler::Plan plan = cuda::lower_to_plan(std::span(&graph, 1), precision);
    EXPECT_NO_THROW(compiler::check_plan(plan, plan.weights.size()));
    const std::vector<Tensor> actual = run_on_host(graph, precision, data.inputs, true);
    ASSERT_EQ(actual.size(), data.outputs.size());
    const double error = worst_error(actual, data.outputs);
    std::cout << each.name() << (halves ? " FP16" : " FP32") << " batch " << batch << ": " << error
              << std::endl;
    EXPECT_LE(error, halves ? 2e-2 : 1e-4);
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

TEST(ModelFolder, AgreesWithTheAnswersBesideTheModels) {
  const char* folder = std::getenv("PEREGRINE_MODEL_TESTS");
  if (!folder) GTEST_SKIP() << "needs a folder of models: PEREGRINE_MODEL_TESTS";
  for (const OnnxNodeCase& each : onnx_cases_in(folder)) {
    for (const OnnxNodeData& data : read_data(each)) {
      check(each, data, Precision::kFloat32);
      check(each, data, Precision::kFloat16);
    }
  }
}

}  // namespace
}  // namespace peregrine::testing
