// SPDX-License-Identifier: Apache-2.0
#include "model/model_builder.h"

#include <random>

#include "model/model_file.h"
#include "model/onnx_reader.h"
#include "model/onnx_tensor.h"

namespace peregrine::testing {
namespace {

void write_tensor(const Tensor& tensor, onnx::TensorProto& proto) {
  for (const std::int64_t dim : tensor.shape()) proto.add_dims(dim);
  proto.set_data_type(model::onnx_of_dtype(tensor.dtype()));
  proto.set_raw_data(tensor.data(), tensor.bytes());
}

void write_attribute(const std::string& name, const model::AttributeValue& value,
                     onnx::AttributeProto& proto) {
  proto.set_name(name);
  if (const auto* f = std::get_if<float>(&value)) {
    proto.set_type(1);
    proto.set_f(*f);
  } else if (const auto* i = std::get_if<std::int64_t>(&value)) {
    proto.set_type(2);
    proto.set_i(*i);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    proto.set_type(3);
    proto.set_s(*s);
  } else if (const auto* t = std::get_if<std::shared_ptr<const Tensor>>(&value)) {
    proto.set_type(4);
    write_tensor(**t, *proto.mutable_t());
  } else if (const auto* fs = std::get_if<model::Floats>(&value)) {
    proto.set_type(6);
    for (const float each : *fs) proto.add_floats(each);
  } else if (const auto* is = std::get_if<model::Ints>(&value)) {
    proto.set_type(7);
    for (const std::int64_t each : *is) proto.add_ints(each);
  }
}

}  // namespace

ModelBuilder::ModelBuilder(int opset) {
  proto_.set_ir_version(8);
  proto_.add_opset_import()->set_version(opset);
  proto_.mutable_graph()->set_name("test");
}

ModelBuilder& ModelBuilder::input(const std::string& name, const Shape& shape, DType dtype) {
  onnx::ValueInfoProto& value = *proto_.mutable_graph()->add_input();
  value.set_name(name);
  onnx::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(model::onnx_of_dtype(dtype));
  type.mutable_shape();
  for (const std::int64_t dim : shape) {
    onnx::TypeProto::Dimension& written = *type.mutable_shape()->add_dim();
    if (dim < 0)
      written.set_dim_param("batch");
    else
      written.set_dim_value(dim);
  }
  return *this;
}

ModelBuilder& ModelBuilder::output(const std::string& name) {
  onnx::ValueInfoProto& value = *proto_.mutable_graph()->add_output();
  value.set_name(name);
  value.mutable_type()->mutable_tensor_type()->set_elem_type(1);
  return *this;
}

ModelBuilder& ModelBuilder::constant(const std::string& name, const Tensor& tensor) {
  onnx::TensorProto& proto = *proto_.mutable_graph()->add_initializer();
  proto.set_name(name);
  write_tensor(tensor, proto);
  return *this;
}

ModelBuilder& ModelBuilder::floats(const std::string& name, const Shape& shape,
                                   std::span<const float> values) {
  return constant(name, Tensor::of<float>(values, shape));
}

ModelBuilder& ModelBuilder::ints(const std::string& name, const model::Ints& values) {
  return constant(name,
                  Tensor::of<std::int64_t>(values, {static_cast<std::int64_t>(values.size())}));
}

ModelBuilder& ModelBuilder::weights(const std::string& name, const Shape& shape, unsigned seed,
                                    float scale) {
  return constant(name, noise(shape, seed, scale));
}

ModelBuilder& ModelBuilder::node(const std::string& op, std::vector<std::string> inputs,
                                 std::vector<std::string> outputs,
                                 const model::Attributes& attributes) {
  onnx::NodeProto& node = *proto_.mutable_graph()->add_node();
  node.set_op_type(op);
  node.set_name("/" + op + "_" + outputs.at(0));
  for (const std::string& name : inputs) node.add_input(name);
  for (const std::string& name : outputs) node.add_output(name);
  for (const auto& [name, value] : attributes) write_attribute(name, value, *node.add_attribute());
  return *this;
}

model::Graph ModelBuilder::graph() const { return model::read_onnx(bytes(), "test.onnx"); }

model::Attributes attributes(
    std::initializer_list<std::pair<const char*, model::AttributeValue>> values) {
  model::Attributes result;
  for (const auto& [name, value] : values) result.set(name, value);
  return result;
}

// more.
model::Graph read_with_weights(const std::string& path) {
  onnx::ModelProto proto;
  model::parse_model(model::read_model_bytes(path), path, proto);
  for (auto& tensor : *proto.mutable_graph()->mutable_initializer()) {
    if (!tensor.doc_string().starts_with("{\"mean\"") || tensor.has_raw_data()) continue;
    const std::size_t item = tensor.data_type() == 10 ? 2 : 4;
    const Shape shape(tensor.dims().begin(), tensor.dims().end());
    tensor.set_raw_data(std::string(static_cast<std::size_t>(element_count(shape)) * item, '\0'));
  }
  return model::read_onnx(proto.SerializeAsString(), path);
}

Tensor noise(const Shape& shape, unsigned seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  Tensor tensor(DType::kFloat32, shape);
  for (float& value : tensor.as<float>()) value = normal(random);
  return tensor;
}

}  // namespace peregrine::testing
