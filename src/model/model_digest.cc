// SPDX-License-Identifier: Apache-2.0
#include "model/model_digest.h"

#include "core/sha256.h"
#include "model/model_file.h"
#include "model/onnx.pb.h"
#include "model/onnx_tensor.h"

namespace peregrine::model {
namespace {

constexpr int kExternal = 1;  // TensorProto.DataLocation

void add(const onnx::TensorProto& proto, const std::string& path, Sha256& hash) {
  if (proto.data_location() != kExternal) return;
  const Tensor tensor = read_tensor(proto, proto.name(), path);
  hash.update({static_cast<const std::byte*>(tensor.data()), tensor.bytes()});
}

}  // namespace

std::string model_digest(const std::string& path) {
  const std::string bytes = read_model_bytes(path);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  // Where no tensor says "location" none lies elsewhere, and parsing is spared.
  if (bytes.find("location") != std::string::npos) {
    onnx::ModelProto model;
    parse_model(bytes, path, model);
    for (const auto& tensor : model.graph().initializer()) add(tensor, path, hash);
    for (const auto& node : model.graph().node()) {
      for (const auto& attribute : node.attribute()) {
        if (attribute.has_t()) add(attribute.t(), path, hash);
      }
    }
  }
  return to_hex(hash.digest());
}

}  // namespace peregrine::model
