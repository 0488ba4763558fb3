// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace peregrine::onnx {
class ModelProto;
}

namespace peregrine::model {

/// The bytes of a model file. Throws `Error(kModelInvalid)` when there is none, when it is
/// not a regular file, or larger than the 2 GiB of ONNX's format.
std::string read_model_bytes(const std::string& path);

/// Parses `bytes`; `path` is for messages. Throws `Error(kModelInvalid)` when they are no ONNX
/// model or end too early, `Error(kModelUnsupported)` when the opset is not 11 to 24.
void parse_model(std::span<const char> bytes, const std::string& path, onnx::ModelProto& model);

/// Version of domain ai.onnx that a model imports, 0 when it imports none.
int opset_of(const onnx::ModelProto& model);

}  // namespace peregrine::model
