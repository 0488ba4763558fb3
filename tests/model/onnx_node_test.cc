// SPDX-License-Identifier: Apache-2.0
// ONNX's own node tests through the reference interpreter: what an op means is theirs to say.
// With PEREGRINE_ONNX_SUPPORT_TABLE=docs/onnx-support.md the result is written as a table.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "model/model_file.h"
#include "model/onnx.pb.h"
#include "model/onnx_files.h"
#include "model/onnx_reader.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine {
namespace {

namespace fs = std::filesystem;

enum class Outcome { kPass, kUnsupported, kWrong };

struct Result {
  std::string test, op, detail;
  Outcome outcome = Outcome::kPass;
};

std::vector<Tensor> read_tensors(const fs::path& folder, const char* kind, bool& complete) {
  std::vector<Tensor> tensors;
  for (int i = 0; fs::exists(folder / (kind + std::to_string(i) + ".pb")); ++i) {
    auto tensor = testing::read_tensor_file(folder / (kind + std::to_string(i) + ".pb"));
    if (!tensor)
      complete = false;
    else
      tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

// ONNX's runner compares with these; float16 carries 11 bits.
double relative_tolerance(DType dtype) { return dtype == DType::kFloat16 ? 2e-3 : 1e-3; }

std::string compare(const Tensor& actual, const Tensor& expected, std::size_t index) {
  const double worst =
      testing::excess(actual, expected, relative_tolerance(expected.dtype()), 2e-6);
  if (worst <= 0) return {};
  return "output " + std::to_string(index) + ": " + to_string(actual.dtype()) + " " +
         to_string(actual.shape()) + ", expected " + to_string(expected.dtype()) + " " +
         to_string(expected.shape()) + ", off by " + std::to_string(worst);
}

// Shapes known before running must be those that running gives.
std::string check_inference(const model::Graph& graph, const std::vector<Tensor>& outputs) {
  model::Graph copy = graph.clone();
  try {
    model::infer(copy, {.batch = 0});
  } catch (const Error& error) {
    const bool expected =
        error.code() == ErrorCode::kModelUnsupported || error.code() == ErrorCode::kInvalidArgument;
    return expected ? std::string() : std::string("inference: ") + error.what();
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const model::Value* value = copy.outputs()[i];
    if (value->shape != outputs[i].shape() || value->dtype != outputs[i].dtype()) {
      return "inferred " + to_string(value->shape) + " for " + to_string(outputs[i].shape());
    }
  }
  return {};
}

std::string op_of(const fs::path& model_file) {
  onnx::ModelProto proto;
  if (!proto.ParseFromString(model::read_model_bytes(model_file.string()))) return "?";
  return proto.graph().node_size() > 0 ? proto.graph().node(0).op_type() : "?";
}

// The logical ops' only tests are of opset 7 to 10, in which they are what they are since.
bool is_unchanged_since_opset_7(const std::string& op) {
  static const std::set<std::string> kOps{"And", "Not", "Or", "Xor", "Shrink", "ReverseSequence"};
  return kOps.contains(op);
}

model::Graph read_test_model(const fs::path& path, const std::string& op) {
  if (!is_unchanged_since_opset_7(op)) return model::read_onnx(path.string());
  onnx::ModelProto proto;
  proto.ParseFromString(model::read_model_bytes(path.string()));
  proto.mutable_opset_import(0)->set_version(
      std::max<std::int64_t>(proto.opset_import(0).version(), 11));
  return model::read_onnx(proto.SerializeAsString(), path.string());
}

Result run_test(const fs::path& folder) {
  Result result{folder.filename().string(), op_of(folder / "model.onnx"), {}, Outcome::kPass};
  try {
    const model::Graph graph = read_test_model(folder / "model.onnx", result.op);
    for (int set = 0; fs::exists(folder / ("test_data_set_" + std::to_string(set))); ++set) {
      const fs::path data = folder / ("test_data_set_" + std::to_string(set));
      bool complete = true;
      const std::vector<Tensor> inputs = read_tensors(data, "input_", complete);
      const std::vector<Tensor> expected = read_tensors(data, "output_", complete);
      if (!complete) throw Error(ErrorCode::kModelUnsupported, "data that is no tensor");
      const std::vector<Tensor> outputs = model::run_graph(graph, inputs);
      if (outputs.size() != expected.size()) result.detail = "a different number of outputs";
      for (std::size_t i = 0; i < outputs.size() && result.detail.empty(); ++i) {
        result.detail = compare(outputs[i], expected[i], i);
      }
      if (result.detail.empty()) result.detail = check_inference(graph, outputs);
    }
    if (!result.detail.empty()) result.outcome = Outcome::kWrong;
  } catch (const Error& error) {
    result.detail = error.what();
    result.outcome =
        error.code() == ErrorCode::kModelUnsupported ? Outcome::kUnsupported : Outcome::kWrong;
  }
  return result;
}

struct Counts {
  int pass = 0, unsupported = 0, wrong = 0;
};

void write_table(const std::map<std::string, Counts>& table, const std::string& path) {
  Counts sum;
  for (const auto& [op, counts] : table) {
    sum.pass += counts.pass;
    sum.unsupported += counts.unsupported;
    sum.wrong += counts.wrong;
  }
  std::ofstream out(path);
  out << "# ONNX support\n\n"
         "What ONNX's own backend node tests (wheel `onnx` 1.19.1) say of the reference\n"
         "interpreter, which defines every op for Peregrine's engines. *Unsupported* is refused "
         "when\n"
         "the model is read, with a message that names the node: another dtype (strings, float8,\n"
         "4-bit), another domain, training, control flow, sequences, an opset outside 11 to 24.\n\n"
         "Made by `PEREGRINE_ONNX_SUPPORT_TABLE=docs/onnx-support.md build/ci/bin/test_model\n"
         "--gtest_filter='OnnxNodeTests.*'`.\n\n"
      << "In all: " << sum.pass << " pass, " << sum.unsupported << " unsupported, " << sum.wrong
      << " wrong.\n\n| op | pass | unsupported | wrong |\n|---|---:|---:|---:|\n";
  for (const auto& [op, counts] : table) {
    if (counts.pass + counts.wrong == 0) continue;
    out << "| " << op << " | " << counts.pass << " | " << counts.unsupported << " | "
        << counts.wrong << " |\n";
  }
  out << "\nRefused altogether:";
  const char* separator = " ";
  for (const auto& [op, counts] : table) {
    if (counts.pass + counts.wrong > 0) continue;
    out << separator << op;
    separator = ", ";
  }
  out << ".\n";
}

// Data of the wheel that contradict the specification.
bool is_mistaken(const std::string& test) {
  // Divides 0 by 0; LpNormalization of opset 22 says that a norm of zero gives zero.
  return test == "test_l2normalization_axis_0";
}

TEST(OnnxNodeTests, NoneIsWrong) {
  const fs::path root = testing::onnx_node_tests();
  if (root.empty()) GTEST_SKIP() << "needs ONNX's node tests: see tests/model/onnx_files.h";
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(root)) {
    const bool usable = !is_mistaken(entry.path().filename().string());
    if (usable && fs::exists(entry.path() / "model.onnx")) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  ASSERT_GT(folders.size(), 1000U);
  std::map<std::string, Counts> table;
  const bool verbose = std::getenv("PEREGRINE_VERBOSE") != nullptr;
  for (const fs::path& folder : folders) {
    const Result result = run_test(folder);
    Counts& counts = table[result.op];
    if (result.outcome == Outcome::kPass) ++counts.pass;
    if (result.outcome == Outcome::kUnsupported) ++counts.unsupported;
    if (result.outcome == Outcome::kWrong) ++counts.wrong;
    if (verbose && result.outcome == Outcome::kUnsupported) {
      std::cout << result.test << ": " << result.detail << "\n";
    }
    EXPECT_NE(result.outcome, Outcome::kWrong) << result.test << ": " << result.detail;
  }
  int passed = 0;
  for (const auto& [op, counts] : table) passed += counts.pass;
  EXPECT_GE(passed, 1000) << "ops that used to pass are refused now";
  if (const char* path = std::getenv("PEREGRINE_ONNX_SUPPORT_TABLE")) write_table(table, path);
}

}  // namespace
}  // namespace peregrine
