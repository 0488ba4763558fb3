// SPDX-License-Identifier: Apache-2.0
#include "model/onnx_node_cases.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "model/convert.h"
#include "model/model_file.h"
#include "model/onnx.pb.h"
#include "model/onnx_files.h"
#include "model/onnx_reader.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine::testing {
namespace {

namespace fs = std::filesystem;

std::vector<Tensor> read_tensors(const fs::path& folder, const char* kind) {
  std::vector<Tensor> tensors;
  for (int i = 0;; ++i) {
    const fs::path file = folder / (kind + std::to_string(i) + ".pb");
    if (!fs::exists(file)) return tensors;
    auto tensor = read_tensor_file(file);
    if (!tensor) throw Error(ErrorCode::kModelUnsupported, "data that is no tensor");
    tensors.push_back(std::move(*tensor));
  }
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

bool is_mistaken(const std::string& test) {
  // Divides 0 by 0; LpNormalization of opset 22 says that a norm of zero gives zero.
  return test == "test_l2normalization_axis_0";
}

struct Tolerance {
  double relative, absolute;
};

// ONNX's runner compares floats with these; float16 carries 11 bits.
Tolerance runners_tolerance(const Tensor& expected) {
  if (!model::is_float(expected.dtype())) return {0, 0};
  return {expected.dtype() == DType::kFloat16 ? 2e-3 : 1e-3, 2e-6};
}

double largest_finite(const Tensor& tensor) {
  const Tensor wide = model::convert(tensor, DType::kFloat64);
  double largest = 0;
  for (const double value : wide.as<double>()) {
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  }
  return largest;
}

std::string first_difference(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                             const std::function<Tolerance(const Tensor&)>& tolerance_of) {
  if (actual.size() != expected.size()) return "a different number of outputs";
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Tolerance tolerance = tolerance_of(expected[i]);
    const double worst = excess(actual[i], expected[i], tolerance.relative, tolerance.absolute);
    if (worst <= 0) continue;
    return "output " + std::to_string(i) + ": " + to_string(actual[i].dtype()) + " " +
           to_string(actual[i].shape()) + ", expected " + to_string(expected[i].dtype()) + " " +
           to_string(expected[i].shape()) + ", off by " + std::to_string(worst);
  }
  return {};
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

}  // namespace

std::vector<OnnxNodeCase> onnx_node_cases() { return onnx_cases_in(onnx_node_tests()); }

std::vector<OnnxNodeCase> onnx_cases_in(const fs::path& folder) {
  std::vector<OnnxNodeCase> cases;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path model_file = entry.path() / "model.onnx";
    if (!fs::exists(model_file) || is_mistaken(entry.path().filename().string())) continue;
    cases.push_back({entry.path(), op_of(model_file)});
  }
  std::sort(cases.begin(), cases.end(),
            [](const OnnxNodeCase& a, const OnnxNodeCase& b) { return a.folder < b.folder; });
  return cases;
}

model::Graph read_graph(const OnnxNodeCase& each) {
  const std::string path = (each.folder / "model.onnx").string();
  if (!is_unchanged_since_opset_7(each.op)) return model::read_onnx(path);
  onnx::ModelProto proto;
  proto.ParseFromString(model::read_model_bytes(path));
  proto.mutable_opset_import(0)->set_version(
      std::max<std::int64_t>(proto.opset_import(0).version(), 11));
  return model::read_onnx(proto.SerializeAsString(), path);
}

std::vector<OnnxNodeData> read_data(const OnnxNodeCase& each) {
  std::vector<OnnxNodeData> sets;
  for (int i = 0;; ++i) {
    const fs::path folder = each.folder / ("test_data_set_" + std::to_string(i));
    if (!fs::exists(folder)) return sets;
    sets.push_back({read_tensors(folder, "input_"), read_tensors(folder, "output_")});
  }
}

OnnxNodeResult run_on_reference(const OnnxNodeCase& each) {
  try {
    const model::Graph graph = read_graph(each);
    for (const OnnxNodeData& data : read_data(each)) {
      const std::vector<Tensor> outputs = model::run_graph(graph, data.inputs);
      std::string wrong = difference(outputs, data.outputs);
      if (wrong.empty()) wrong = check_inference(graph, outputs);
      if (!wrong.empty()) return {Outcome::kWrong, std::move(wrong)};
    }
    return {};
  } catch (const Error& error) {
    const bool refused = error.code() == ErrorCode::kModelUnsupported;
    return {refused ? Outcome::kUnsupported : Outcome::kWrong, error.what()};
  }
}

std::string difference(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  return first_difference(actual, expected, runners_tolerance);
}

std::string difference(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                       double of_largest) {
  return first_difference(actual, expected, [&](const Tensor& tensor) {
    if (!model::is_float(tensor.dtype())) return Tolerance{0, 0};
    return Tolerance{0, of_largest * largest_finite(tensor)};
  });
}

}  // namespace peregrine::testing
