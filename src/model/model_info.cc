// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <fmt/format.h>

#include "model/model_file.h"
#include "model/onnx.pb.h"
#include "model/onnx_tensor.h"
#include "peregrine/error.h"
#include "peregrine/task.h"

namespace peregrine {
namespace {

TensorSpec read_spec(const onnx::ValueInfoProto& proto, const std::string& path) {
  const onnx::TypeProto::Tensor& type = proto.type().tensor_type();
  const auto dtype = model::dtype_of_onnx(type.elem_type());
  if (!proto.type().has_tensor_type() || !dtype) {
    throw Error(
        ErrorCode::kModelUnsupported,
        fmt::format("model '{}': '{}' is no tensor of a supported type", path, proto.name()));
  }
  TensorSpec spec{proto.name(), *dtype, {}};
  for (const onnx::TypeProto::Dimension& dim : type.shape().dim()) {
    spec.shape.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : -1);
  }
  return spec;
}

}  // namespace

ModelInfo read_model_info(const std::string& path) {
  onnx::ModelProto model;
  {
    const std::string bytes = model::read_model_bytes(path);
    model::parse_model(bytes, path, model);
  }
  ModelInfo info;
  info.path = path;
  std::set<std::string> weights;
  for (const onnx::TensorProto& tensor : model.graph().initializer()) weights.insert(tensor.name());
  for (const onnx::ValueInfoProto& input : model.graph().input()) {
    if (!weights.contains(input.name())) info.inputs.push_back(read_spec(input, path));
  }
  for (const onnx::ValueInfoProto& output : model.graph().output()) {
    info.outputs.push_back(read_spec(output, path));
  }
  for (const auto& entry : model.metadata_props()) info.metadata[entry.key()] = entry.value();
  return info;
}

}  // namespace peregrine
