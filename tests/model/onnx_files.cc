// SPDX-License-Identifier: Apache-2.0
#include "model/onnx_files.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "model/convert.h"
#include "model/model_file.h"
#include "model/onnx.pb.h"
#include "model/onnx_tensor.h"
#include "peregrine/error.h"

namespace peregrine::testing {

std::filesystem::path onnx_node_tests() {
  const char* named = std::getenv("PEREGRINE_ONNX_NODE_TESTS");
  const std::filesystem::path folder =
      named ? std::filesystem::path(named)
            : std::filesystem::path(PEREGRINE_SOURCE_DIR) / ".deps" / "onnx-node-tests";
  return std::filesystem::is_directory(folder) ? folder : std::filesystem::path();
}

std::optional<Tensor> read_tensor_file(const std::filesystem::path& path) {
  const std::string bytes = model::read_model_bytes(path.string());
  onnx::TensorProto proto;
  if (!proto.ParseFromString(bytes)) return std::nullopt;
  try {
    return model::read_tensor(proto, path.filename().string(), path.string());
  } catch (const Error&) {
    return std::nullopt;
  }
}

double excess(const Tensor& actual, const Tensor& expected, double relative, double absolute) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  if (actual.dtype() != expected.dtype() || actual.shape() != expected.shape()) return kNever;
  const Tensor a = model::convert(actual, DType::kFloat64);
  const Tensor b = model::convert(expected, DType::kFloat64);
  double worst = -kNever;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.size()); ++i) {
    const double x = a.as<double>()[i];
    const double y = b.as<double>()[i];
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    if (!std::isfinite(x) || !std::isfinite(y)) return kNever;
    worst = std::max(worst, std::abs(x - y) - (absolute + relative * std::abs(y)));
  }
  return worst;
}

}  // namespace peregrine::testing
