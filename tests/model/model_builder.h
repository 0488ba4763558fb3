// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "model/graph.h"
#include "model/onnx.pb.h"

namespace peregrine::testing {

/// Writes small ONNX models for tests, in memory.
class ModelBuilder {
 public:
  explicit ModelBuilder(int opset = 17);

  /// A dimension of -1 is the symbolic "batch".
  ModelBuilder& input(const std::string& name, const Shape& shape, DType dtype = DType::kFloat32);
  ModelBuilder& output(const std::string& name);
  ModelBuilder& constant(const std::string& name, const Tensor& tensor);
  ModelBuilder& floats(const std::string& name, const Shape& shape, std::span<const float> values);
  ModelBuilder& ints(const std::string& name, const model::Ints& values);  ///< int64 [n]
  /// Seeded normal noise scaled by `scale`.
  ModelBuilder& weights(const std::string& name, const Shape& shape, unsigned seed,
                        float scale = 1);
  ModelBuilder& node(const std::string& op, std::vector<std::string> inputs,
                     std::vector<std::string> outputs, const model::Attributes& attributes = {});

  onnx::ModelProto& proto() { return proto_; }
  std::string bytes() const { return proto_.SerializeAsString(); }
  /// Through the reader.
  model::Graph graph() const;

 private:
  onnx::ModelProto proto_;
};

/// Attributes in one expression: attributes({{"group", std::int64_t{2}}, ...}).
model::Attributes attributes(
    std::initializer_list<std::pair<const char*, model::AttributeValue>> values);

/// Reads a model whose weights may have been dropped, as those of shared/models/graphs: zeros of
/// the right size stand in. For tests of shapes and structure.
model::Graph read_with_weights(const std::string& path);

/// Seeded normal noise.
Tensor noise(const Shape& shape, unsigned seed, float scale = 1);

}  // namespace peregrine::testing
