// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "peregrine/tensor.h"

namespace peregrine::testing {

/// Folder of ONNX's own node tests (the wheel `onnx` 1.19.1 carries them under
/// onnx/backend/test/data/node): $PEREGRINE_ONNX_NODE_TESTS, or .deps/onnx-node-tests, where
/// script/bootstrap unpacks them. Empty when there is none.
std::filesystem::path onnx_node_tests();

/// A TensorProto file; none when it holds something else (a sequence, strings).
std::optional<Tensor> read_tensor_file(const std::filesystem::path& path);

/// Largest of |actual - expected| - (absolute + relative |expected|), by element; infinite when
/// dtype, shape or a NaN differ. Zero or less: equal within the tolerance.
double excess(const Tensor& actual, const Tensor& expected, double relative, double absolute);

}  // namespace peregrine::testing
