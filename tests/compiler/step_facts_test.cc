// SPDX-License-Identifier: Apache-2.0
#include "compiler/step_facts.h"

#include <gtest/gtest.h>

namespace peregrine::compiler {
namespace {

Operand operand(DType dtype, Shape shape, Shape strides) {
  return {Region::kArena, 0, 0, dtype, std::move(shape), std::move(strides)};
}

TEST(StepFacts, PrecisionIsThatOfTheNarrowestFloat) {
  Step step;
  step.inputs = {operand(DType::kInt64, {2}, {1}), {}};
  step.outputs = {operand(DType::kBool, {2}, {1})};
  EXPECT_STREQ(step_precision(step), "integer");
  step.inputs.push_back(operand(DType::kFloat32, {2}, {1}));
  EXPECT_STREQ(step_precision(step), "fp32");
  step.outputs.push_back(operand(DType::kFloat16, {2}, {1}));
  EXPECT_STREQ(step_precision(step), "fp16");
}

TEST(StepFacts, BytesCountRepeatedElementsOnce) {
  Step step;
  step.inputs = {
      operand(DType::kFloat16, {4, 8}, {16, 1}), {}, operand(DType::kFloat32, {4, 8}, {0, 1})};
  step.outputs = {operand(DType::kFloat32, {0, 8}, {0, 1})};
  EXPECT_EQ(step_bytes(step), 4 * 8 * 2 + 8 * 4);
}

}  // namespace
}  // namespace peregrine::compiler
