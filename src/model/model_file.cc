// SPDX-License-Identifier: Apache-2.0
#include "model/model_file.h"

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "model/onnx.pb.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

constexpr int kOldestOpset = 11;
constexpr int kNewestOpset = 24;

}  // namespace

std::string read_model_bytes(const std::string& path) {
  std::error_code failure;
  const auto status = std::filesystem::status(path, failure);
  if (!std::filesystem::exists(status)) {
    throw Error(ErrorCode::kModelInvalid, fmt::format("model '{}' does not exist", path));
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw Error(ErrorCode::kModelInvalid, fmt::format("model '{}' is not a regular file", path));
  }
  const std::uintmax_t size = std::filesystem::file_size(path, failure);
  if (failure || size > INT_MAX) {
    throw Error(ErrorCode::kModelInvalid,
                fmt::format("model '{}' is larger than 2 GiB, which ONNX's format does not allow; "
                            "export it with external data",
                            path));
  }
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) {
    throw Error(ErrorCode::kModelInvalid, fmt::format("model '{}' cannot be read", path));
  }
  return bytes;
}

int opset_of(const onnx::ModelProto& model) {
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") {
      return static_cast<int>(std::clamp<std::int64_t>(import.version(), 0, INT_MAX));
    }
  }
  return 0;
}

void parse_model(std::span<const char> bytes, const std::string& path, onnx::ModelProto& model) {
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph() ||
      (model.graph().node_size() == 0 && model.graph().output_size() == 0)) {
    throw Error(ErrorCode::kModelInvalid,
                fmt::format("model '{}' is not an ONNX model, or was cut off: {} bytes that do not "
                            "hold a graph. Export or download it again",
                            path, bytes.size()));
  }
  const int opset = opset_of(model);
  if (opset < kOldestOpset || opset > kNewestOpset) {
    throw Error(
        ErrorCode::kModelUnsupported,
        fmt::format("model '{}' uses opset {}; supported are {} to {}. Export it again with "
                    "opset 17, or convert it with onnx.version_converter",
                    path, opset, kOldestOpset, kNewestOpset));
  }
}

}  // namespace peregrine::model
