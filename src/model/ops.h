// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "peregrine/tensor.h"

namespace peregrine::model {

/// What a node computes: ONNX's ops in the form of opset 24, and a few of ours. See ops.def.
enum class Op : std::uint8_t {
#define PEREGRINE_OP(name, ...) k##name,
#include "model/ops.def"
#undef PEREGRINE_OP
};

constexpr int kOpCount = 0
#define PEREGRINE_OP(...) +1
#include "model/ops.def"
#undef PEREGRINE_OP
    ;

/// How many inputs and outputs a node of this op may have; trailing ones may be absent.
struct OpArity {
  int min_inputs, max_inputs, min_outputs, max_outputs;
};

using peregrine::to_string;  // of dtypes and shapes, beside the one below
/// ONNX's op type, such as "Conv".
const char* to_string(Op op);
OpArity arity(Op op);
/// The op of an ONNX op type of domain ai.onnx, none when Peregrine does not know it. Names of our
/// own ops are not found: no file may hold one.
std::optional<Op> find_onnx_op(std::string_view op_type);

}  // namespace peregrine::model
