// SPDX-License-Identifier: Apache-2.0
// Cases of the ops that move, index, sample, order and quantize, with inputs of any dtype: run by
// the kernels' own code on the host, and on the GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/model_builder.h"

namespace peregrine::testing {

struct IndexingInput {
  enum class Kind { kActivation, kConstant, kAbsent };
  Kind kind = Kind::kActivation;
  std::shared_ptr<Tensor> tensor;  ///< null where absent
};

struct IndexingCase {
  std::string name, op;
  std::vector<IndexingInput> inputs;
  model::Attributes attributes;
  int outputs = 1;
};

const std::vector<IndexingCase>& indexing_cases();

/// What stands around the op: nothing; transposes, so that its first input and its results are
/// interleaved pictures; or 1x1 convolutions that change no value, so that FP16 plans store both in
/// half precision. The latter two for pictures in and out.
enum class Surroundings { kNone, kTransposes, kConvolutions };
bool fits(const IndexingCase& row, Surroundings surroundings);
ModelBuilder build_case(const IndexingCase& row, Surroundings surroundings);
/// Of the model's inputs, in order; half precision holds them exactly.
std::vector<Tensor> case_inputs(const IndexingCase& row, Surroundings surroundings);

std::string case_name(const IndexingCase& row, std::size_t index);
void PrintTo(const IndexingCase& row, std::ostream* out);

/// Integers must be equal; floats may differ by `tolerance` of the larger of 1 and the value.
void expect_same(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                 double tolerance);

}  // namespace peregrine::testing
