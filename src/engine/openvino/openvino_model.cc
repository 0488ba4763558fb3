// SPDX-License-Identifier: Apache-2.0
#include "engine/openvino/openvino_model.h"

#include <array>
#include <filesystem>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <openvino/core/preprocess/pre_post_process.hpp>
#include <openvino/frontend/manager.hpp>

#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

namespace fs = std::filesystem;

struct TypePair {
  DType dtype;
  ov::element::Type_t element;
};
constexpr std::array<TypePair, 13> kTypes = {{
    {DType::kFloat32, ov::element::Type_t::f32},
    {DType::kFloat16, ov::element::Type_t::f16},
    {DType::kBFloat16, ov::element::Type_t::bf16},
    {DType::kFloat64, ov::element::Type_t::f64},
    {DType::kInt8, ov::element::Type_t::i8},
    {DType::kInt16, ov::element::Type_t::i16},
    {DType::kInt32, ov::element::Type_t::i32},
    {DType::kInt64, ov::element::Type_t::i64},
    {DType::kUint8, ov::element::Type_t::u8},
    {DType::kUint16, ov::element::Type_t::u16},
    {DType::kUint32, ov::element::Type_t::u32},
    {DType::kUint64, ov::element::Type_t::u64},
    {DType::kBool, ov::element::Type_t::boolean},
}};

void check_file(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw Error(ErrorCode::kModelInvalid,
                fmt::format("model '{}' does not exist; check the path given to --model", path));
  }
  if (!fs::is_regular_file(status)) {
    throw Error(ErrorCode::kModelInvalid,
                fmt::format("model '{}' is not a file; give the path of an ONNX file", path));
  }
}

// "No conversion rule found for operations: Foo-17, acme.Bar" lists ops by name and opset.
Error conversion_error(const std::string& path, const std::exception& error) {
  constexpr std::string_view kMarker = "No conversion rule found for operations: ";
  const std::string text = error.what();
  if (const std::size_t at = text.find(kMarker); at != std::string::npos) {
    const std::size_t first = at + kMarker.size();
    const std::string ops = text.substr(first, text.find('\n', first) - first);
    return Error(ErrorCode::kModelUnsupported,
                 fmt::format("model '{}' uses operations that OpenVINO {} does not have: {} (name, "
                             "opset). Export it with standard ONNX operations only",
                             path, openvino_version(), ops));
  }
  return Error(ErrorCode::kModelInvalid,
               fmt::format("model '{}' is not a usable ONNX file: {}. Export it again, or check "
                           "that the copy is complete",
                           path, openvino_reason(error)));
}

std::string port_name(const ov::Output<const ov::Node>& port, std::size_t index) {
  return port.get_names().empty() ? std::to_string(index) : port.get_any_name();
}

// The shape the input will have, batch 1 first.
ov::PartialShape input_shape(const ov::Output<const ov::Node>& input, std::size_t index,
                             const std::string& path, const OpenVinoOptions& options) {
  ov::PartialShape shape = input.get_partial_shape();
  const std::string name = port_name(input, index);
  if (shape.rank().is_dynamic() || shape.size() == 0) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("model '{}': input '{}' has no batch dimension (shape {}); export it "
                            "with inputs [batch, ...]",
                            path, name, shape.to_string()));
  }
  shape[0] = 1;
  if (shape.size() == 4) {
    if (shape[2].is_dynamic() && options.input_height > 0) shape[2] = options.input_height;
    if (shape[3].is_dynamic() && options.input_width > 0) shape[3] = options.input_width;
  }
  if (shape.is_dynamic()) {
    throw Error(
        ErrorCode::kModelUnsupported,
        fmt::format("model '{}': input '{}' has shape {}, which leaves its size open; say it with "
                    "--imgsz, or export the model with a fixed size",
                    path, name, input.get_partial_shape().to_string()));
  }
  Shape known;
  for (const ov::Dimension& dimension : shape) known.push_back(dimension.get_length());
  try {
    byte_size(dtype_from(input.get_element_type(), path), known);
  } catch (const Error& error) {
    throw Error(error.code() == ErrorCode::kInvalidShape ? ErrorCode::kModelInvalid : error.code(),
                fmt::format("model '{}': input '{}': {}", path, name, error.what()));
  }
  return shape;
}

void check_outputs(const ov::Model& model, const std::string& path) {
  for (std::size_t i = 0; i < model.outputs().size(); ++i) {
    const ov::Output<const ov::Node> output = model.output(i);
    const ov::PartialShape& shape = output.get_partial_shape();
    if (shape.is_static() && shape.size() > 0 && shape[0] == 1) continue;
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("model '{}': output '{}' has shape {} for one picture, but must be [1, "
                            "...] with every dimension known. Export the model without "
                            "data-dependent operations such as NonMaxSuppression, and with a "
                            "dynamic batch",
                            path, port_name(output, i), shape.to_string()));
  }
}

}  // namespace

std::string openvino_reason(const std::exception& error) {
  std::istringstream lines(error.what());
  std::string reason = "unknown error";
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) reason = line;
  }
  while (reason.ends_with('.') || reason.ends_with(' ')) reason.pop_back();
  return reason;
}

DType dtype_from(const ov::element::Type& type, const std::string& path) {
  for (const TypePair& pair : kTypes) {
    if (type == pair.element) return pair.dtype;
  }
  throw Error(ErrorCode::kModelUnsupported,
              fmt::format("model '{}' takes or gives elements of type {}, which is not supported; "
                          "export it with float32 inputs and outputs",
                          path, type.get_type_name()));
}

ov::element::Type element_type(DType dtype) {
  for (const TypePair& pair : kTypes) {
    if (pair.dtype == dtype) return pair.element;
  }
  throw Error(ErrorCode::kInternal, "dtype without an OpenVINO element type");
}

std::shared_ptr<ov::Model> read_onnx(const std::string& path) {
  check_file(path);
  // Not ov::Core::read_model: for a file that is no ONNX it tries every framework's reader, and
  // some of them print to stderr.
  ov::frontend::FrontEndManager manager;
  std::shared_ptr<ov::Model> model;
  try {
    const auto frontend = manager.load_by_framework("onnx");
    model = frontend->convert(frontend->load(path));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("the host has too little memory to read model '{}'", path));
  } catch (const std::exception& error) {
    throw conversion_error(path, error);
  }
  // An empty file is a valid, empty protobuf message.
  if (model->inputs().empty() || model->outputs().empty()) {
    throw Error(ErrorCode::kModelInvalid,
                fmt::format("model '{}' is not a usable ONNX file: it has {} inputs and {} outputs",
                            path, model->inputs().size(), model->outputs().size()));
  }
  return model;
}

std::shared_ptr<ov::Model> specialise(std::shared_ptr<ov::Model> model, const std::string& path,
                                      const OpenVinoOptions& options) {
  std::map<std::size_t, ov::PartialShape> shapes;
  for (std::size_t i = 0; i < model->inputs().size(); ++i) {
    shapes[i] = input_shape(std::as_const(*model).input(i), i, path, options);
  }
  try {
    model->reshape(shapes);
    ov::preprocess::PrePostProcessor adapt(model);
    for (std::size_t i = 0; i < model->inputs().size(); ++i) {
      if (model->input(i).get_element_type().is_real()) {
        adapt.input(i).tensor().set_element_type(ov::element::f32);
      }
    }
    for (std::size_t i = 0; i < model->outputs().size(); ++i) {
      adapt.output(i).tensor().set_element_type(ov::element::f32);
    }
    model = adapt.build();
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("model '{}' cannot take one picture of shape {}: {}", path,
                            shapes.empty() ? "[]" : shapes.begin()->second.to_string(),
                            openvino_reason(error)));
  }
  check_outputs(*model, path);
  return model;
}

}  // namespace peregrine::engine
