// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "peregrine/engine.h"

namespace peregrine {

/// What a model's outputs mean.
enum class Task : std::uint8_t { kDetect, kSegment, kPose, kObb, kClassify, kEmbed, kDepth };
/// "detect", "segment", "pose", "obb", "classify", "embed", "depth".
PEREGRINE_API const char* to_string(Task task);

/// A model file as far as it can be known without running it.
struct ModelInfo {
  std::string path;
  std::vector<TensorSpec> inputs;               ///< unknown dimensions are -1
  std::vector<TensorSpec> outputs;              ///< unknown dimensions are -1
  std::map<std::string, std::string> metadata;  ///< ONNX metadata_props, verbatim
};

/// Reads what an ONNX file states about itself; its ops need not be known, its weights are not
/// looked at. Throws `Error(kInputNotFound)`, `Error(kModelInvalid)` for what is no ONNX or was cut
/// off, `Error(kModelUnsupported)` for an opset outside 11 to 24 or an input that is no tensor.
ModelInfo read_model_info(const std::string& path);

}  // namespace peregrine
