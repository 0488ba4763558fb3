// SPDX-License-Identifier: Apache-2.0
// ONNX's own node tests through the CUDA engine: all that the reference interpreter passes, as the
// nodes stand in the file and after the passes, in both precisions. Plans run on the host
// everywhere (run_on_host.h), and on the GPU where there is one. With
// PEREGRINE_ONNX_SUPPORT_TABLE=docs/onnx-support.md the result is written as a table.
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "engine/cuda/compiled.h"
#include "engine/cuda/gpu.h"
#include "engine/cuda/onnx_support_table.h"
#include "engine/cuda/run_on_gpu.h"
#include "engine/cuda/run_on_host.h"
#include "model/convert.h"
#include "model/onnx_files.h"
#include "model/onnx_node_cases.h"
#include "peregrine/error.h"

namespace peregrine::testing {
namespace {

using cuda::Precision;
using Column = OnnxSupportTable::Column;

struct Variant {
  Precision precision;
  bool passes;
  bool on_gpu;
};

// Which of a test's inputs are constants, as real models have their shapes, axes, counts and
// limits. The first that the engine takes is tested.
enum class Binding { kNothing, kIntegers, kAllButTheFirst, kAll };

bool is_bound(Binding binding, std::size_t index, DType dtype) {
  switch (binding) {
    case Binding::kNothing: return false;
    case Binding::kIntegers: return index > 0 && !model::is_float(dtype);
    case Binding::kAllButTheFirst: return index > 0;
    case Binding::kAll: return true;
  }
  return false;
}

std::vector<Binding> bindings_of(const std::string& op) {
  std::vector<Binding> bindings{Binding::kNothing, Binding::kIntegers, Binding::kAllButTheFirst};
  // All they read says how large their result is.
  if (op == "ConstantOfShape" || op == "Range") bindings.push_back(Binding::kAll);
  return bindings;
}

model::Graph bound(const model::Graph& model, const std::vector<Tensor>& inputs, Binding binding) {
  model::Graph graph = model.clone();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    model::Value* input = graph.inputs()[i];
    input->shape = inputs[i].shape();
    input->has_shape = true;
    if (!is_bound(binding, i, input->dtype)) continue;
    graph.replace(input, graph.add_constant(input->name + ":bound",
                                            std::make_shared<Tensor>(inputs[i].clone())));
  }
  return graph;
}

// Throws what refuses the case when nothing is left to bind.
model::Graph lowered(const OnnxNodeCase& each, const model::Graph& model,
                     const std::vector<Tensor>& inputs, Variant variant) {
  const std::vector<Binding> bindings = bindings_of(each.op);
  for (std::size_t i = 0;; ++i) {
    try {
      model::Graph graph = compiled(bound(model, inputs, bindings[i]), variant.passes);
      cuda::lower_to_plan(std::span(&graph, 1), variant.precision);
      return graph;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kModelUnsupported || i + 1 == bindings.size()) throw;
    }
  }
}

// What was found: results whose length depends on contents end in entries of -1.
Tensor without_absent(const Tensor& actual, const Shape& expected) {
  if (actual.shape() == expected || actual.dtype() != DType::kInt64 || expected.size() != 2 ||
      actual.shape().size() != 2) {
    return actual.clone();
  }
  const auto numbers = actual.as<std::int64_t>();
  const bool rows = actual.shape()[1] == expected[1];  // else columns: NonZero
  const std::int64_t width = actual.shape()[1];
  model::Ints found;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const bool real = rows ? at / width < expected[0] : at % width < expected[1];
    if (real) found.push_back(numbers[i]);
    EXPECT_TRUE(real || numbers[i] == -1) << "an absent entry is " << numbers[i];
  }
  return Tensor::of<std::int64_t>(found, expected);
}

// Empty where nothing is wrong.
std::string run(const model::Graph& graph, const OnnxNodeData& data, Variant variant) {
  std::vector<Tensor> actual = variant.on_gpu
                                   ? run_on_gpu(graph, variant.precision, data.inputs)
                                   : run_on_host(graph, variant.precision, data.inputs, true);
  for (std::size_t k = 0; k < actual.size() && k < data.outputs.size(); ++k) {
    actual[k] = without_absent(actual[k], data.outputs[k].shape());
  }
  return variant.precision == Precision::kFloat32 ? difference(actual, data.outputs)
                                                  : difference(actual, data.outputs, 1e-2);
}

OnnxNodeResult try_variant(const OnnxNodeCase& each, Variant variant) {
  const std::string which = variant.passes ? "with passes: " : "without passes: ";
  try {
    const model::Graph model = read_graph(each);
    for (const OnnxNodeData& data : read_data(each)) {
      const std::string wrong = run(lowered(each, model, data.inputs, variant), data, variant);
      if (!wrong.empty()) return {Outcome::kWrong, which + wrong};
    }
    return {};
  } catch (const Error& error) {
    // After a fault the GPU answers nothing more: stop with the name of the case.
    if (error.code() == ErrorCode::kGpu) {
      throw Error(ErrorCode::kGpu, each.name() + ": " + which + error.what());
    }
    const bool refused = error.code() == ErrorCode::kModelUnsupported &&
                         std::string(error.what()).find("node '") != std::string::npos;
    return {refused ? Outcome::kUnsupported : Outcome::kWrong, which + error.what()};
  } catch (const std::exception& error) {
    return {Outcome::kWrong, which + error.what()};
  }
}

OnnxNodeResult try_precision(const OnnxNodeCase& each, Precision precision, bool on_gpu) {
  OnnxNodeResult worst;
  for (const bool passes : {false, true}) {
    OnnxNodeResult result = try_variant(each, {precision, passes, on_gpu});
    if (result.outcome > worst.outcome) worst = std::move(result);
  }
  return worst;
}

void check(const OnnxNodeCase& each, Precision precision, bool on_gpu, OnnxSupportTable& table) {
  static const bool verbose = std::getenv("PEREGRINE_VERBOSE") != nullptr;
  const bool halves = precision == Precision::kFloat16;
  const OnnxNodeResult result = try_precision(each, precision, on_gpu);
  table.add(each.op, halves ? Column::kCudaFloat16 : Column::kCudaFloat32, result.outcome);
  if (result.outcome == Outcome::kUnsupported) table.add_refusal(result.detail);
  EXPECT_NE(result.outcome, Outcome::kWrong)
      << each.name() << (halves ? " FP16 " : " FP32 ") << result.detail;
  if (verbose && result.outcome == Outcome::kUnsupported) {
    std::cout << each.name() << (halves ? " FP16 " : " FP32 ") << result.detail << "\n";
  }
}

void check_all(bool on_gpu) {
  OnnxSupportTable table;
  for (const OnnxNodeCase& each : onnx_node_cases()) {
    const OnnxNodeResult reference = run_on_reference(each);
    table.add(each.op, Column::kReference, reference.outcome);
    if (reference.outcome == Outcome::kPass) {
      check(each, Precision::kFloat32, on_gpu, table);
      check(each, Precision::kFloat16, on_gpu, table);
    } else {
      table.add(each.op, Column::kCudaFloat32, Outcome::kUnsupported);
      table.add(each.op, Column::kCudaFloat16, Outcome::kUnsupported);
    }
  }
  for (const Column column : {Column::kCudaFloat32, Column::kCudaFloat16}) {
    EXPECT_GE(table.count(column, Outcome::kPass), 1176) << "what used to pass is refused now";
  }
  if (const char* path = std::getenv("PEREGRINE_ONNX_SUPPORT_TABLE")) table.write(path, on_gpu);
}

#define PEREGRINE_NEEDS_NODE_TESTS() \
  if (onnx_node_tests().empty()) GTEST_SKIP() << "needs ONNX's node tests: see onnx_files.h"

TEST(OnnxNodesOnCuda, OnTheHostNoneIsWrong) {
  PEREGRINE_NEEDS_NODE_TESTS();
  check_all(false);
}

TEST(OnnxNodesOnCuda, OnTheGpuNoneIsWrong) {
  PEREGRINE_NEEDS_NODE_TESTS();
  PEREGRINE_NEEDS_GPU();
  check_all(true);
}

}  // namespace
}  // namespace peregrine::testing
