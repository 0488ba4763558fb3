// SPDX-License-Identifier: Apache-2.0
// One row a case, every engine: op x shapes x attributes. Engines are compared with the reference
// interpreter (tests/model/op_conformance_test.cc runs OpenVINO, tests/engine the GPU).
#pragma once

#include <string>
#include <vector>

#include "model/model_builder.h"

namespace peregrine::testing {

/// One operand. Activations are inputs of the model, the rest is stored in it.
struct CaseInput {
  enum class Kind { kActivation, kPositive, kWeight, kInts, kIndices, kFloats, kAbsent };
  Kind kind = Kind::kActivation;
  Shape shape;
  std::vector<double> values;  ///< of kInts, kIndices and kFloats
};
inline CaseInput activation(Shape shape) {
  return {CaseInput::Kind::kActivation, std::move(shape), {}};
}
/// Activations above 0.1: for logarithms, roots and divisors.
inline CaseInput positive(Shape shape) {
  return {CaseInput::Kind::kPositive, std::move(shape), {}};
}
inline CaseInput weight(Shape shape) { return {CaseInput::Kind::kWeight, std::move(shape), {}}; }
inline CaseInput ints(std::vector<double> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return {CaseInput::Kind::kInts, {count}, std::move(values)};
}
/// int64 of any shape, stored in the model.
inline CaseInput indices(Shape shape, std::vector<double> values) {
  return {CaseInput::Kind::kIndices, std::move(shape), std::move(values)};
}
inline CaseInput floats(Shape shape, std::vector<double> values) {
  return {CaseInput::Kind::kFloats, std::move(shape), std::move(values)};
}
inline CaseInput absent() { return {CaseInput::Kind::kAbsent, {}, {}}; }

struct OpCase {
  const char* name;
  const char* op;
  std::vector<CaseInput> inputs;
  model::Attributes attributes;
  int outputs = 1;
  float tolerance = 1e-5F;  ///< of the output's largest value, in FP32
};

/// All of them; at least one for every op that real models bring.
const std::vector<OpCase>& op_cases();

/// The case as a model of opset 20 with inputs x0, x1, ... and outputs y0, y1, ...
ModelBuilder build_case(const OpCase& row);
/// Seeded values for the model's inputs, in order.
std::vector<Tensor> case_inputs(const OpCase& row);

}  // namespace peregrine::testing
