// SPDX-License-Identifier: Apache-2.0
// Models of a node or a few, lowered and run on the host, against the reference interpreter.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/program.h"
#include "model/model_builder.h"
#include "peregrine/tensor.h"

namespace peregrine::testing {

/// The FP32 program's steps; the model as it stands, no passes but "to float32".
std::vector<compiler::Step> steps_of(const ModelBuilder& model);

/// Runs the model both ways; floats may differ by `tolerance` of the larger of 1 and the value,
/// all else not at all.
void expect_right(const ModelBuilder& model, std::span<const Tensor> inputs,
                  double tolerance = 2e-6);

/// A model of one node whose inputs x0, x1, ... are these tensors, and its check.
ModelBuilder one_node(const char* op, const std::vector<Tensor>& inputs,
                      const model::Attributes& attrs = {});
void expect_node(const char* op, const std::vector<Tensor>& inputs,
                 const model::Attributes& attrs = {});

std::string indexed(const char* stem, std::size_t index);

template <typename T>
Tensor list(std::vector<T> values) {
  return Tensor::of<T>(values, {static_cast<std::int64_t>(values.size())});
}

template <typename... Tensors>
std::vector<Tensor> tensors(const Tensors&... each) {
  std::vector<Tensor> result;
  (result.push_back(each.clone()), ...);
  return result;
}

}  // namespace peregrine::testing
