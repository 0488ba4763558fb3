// SPDX-License-Identifier: Apache-2.0
#include "compiler/step_facts.h"

namespace peregrine::compiler {
namespace {

std::int64_t bytes_of(const Operand& operand) {
  if (operand.is_absent()) return 0;
  auto bytes = static_cast<std::int64_t>(size_of(operand.dtype));
  for (std::size_t i = 0; i < operand.shape.size(); ++i) {
    if (operand.strides[i] != 0 || operand.shape[i] == 0) bytes *= operand.shape[i];
  }
  return bytes;
}

}  // namespace

const char* step_precision(const Step& step) {
  bool narrow = false, wide = false;
  for (const auto* operands : {&step.inputs, &step.outputs}) {
    for (const Operand& each : *operands) {
      if (each.is_absent()) continue;
      narrow |= each.dtype == DType::kFloat16 || each.dtype == DType::kBFloat16;
      wide |= each.dtype == DType::kFloat32 || each.dtype == DType::kFloat64;
    }
  }
  return narrow ? "fp16" : wide ? "fp32" : "integer";
}

std::int64_t step_bytes(const Step& step) {
  std::int64_t bytes = 0;
  for (const auto* operands : {&step.inputs, &step.outputs}) {
    for (const Operand& each : *operands) bytes += bytes_of(each);
  }
  return bytes;
}

}  // namespace peregrine::compiler
