// SPDX-License-Identifier: Apache-2.0
#include "model/ops.h"

#include <algorithm>
#include <array>
#include <limits>

namespace peregrine::model {
namespace {

constexpr int kMany = std::numeric_limits<int>::max();

struct Row {
  const char* name;
  OpArity arity;
};

constexpr Row kRows[] = {
#define PEREGRINE_OP(name, min_inputs, max_inputs, min_outputs, max_outputs, ...) \
  {#name, {min_inputs, max_inputs, min_outputs, max_outputs}},
#include "model/ops.def"
#undef PEREGRINE_OP
};
static_assert(std::size(kRows) == kOpCount);
static_assert(kOpCount <= 256, "Op is a byte");

}  // namespace

const char* to_string(Op op) { return kRows[static_cast<std::size_t>(op)].name; }

OpArity arity(Op op) { return kRows[static_cast<std::size_t>(op)].arity; }

std::optional<Op> find_onnx_op(std::string_view op_type) {
  const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                [&](const Row& each) { return op_type == each.name; });
  if (row == std::end(kRows)) return std::nullopt;
  const Op op = static_cast<Op>(row - std::begin(kRows));
  return op == Op::kSilu || op == Op::kBoxDecode ? std::nullopt : std::optional(op);
}

}  // namespace peregrine::model
