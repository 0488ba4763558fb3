// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "peregrine/tensor.h"

namespace peregrine::eval {

/// How far one output of a model is from its reference, over any number of batches.
class OutputDifference {
 public:
  explicit OutputDifference(std::string name) : name_(std::move(name)) {}

  /// Tensors on the host, packed, of equal shape; float16, float32 or integers. Throws
  /// `Error(kInvalidShape)` when they do not fit together.
  void add(const TensorView& actual, const TensorView& expected);

  const std::string& name() const { return name_; }
  /// |actual - expected| / |expected| over all elements, in double; NaN or infinite where `actual`
  /// is not finite and `expected` is.
  double relative_l2() const;
  /// Pearson's correlation; 1 where both are constant.
  double correlation() const;

  /// The element that is furthest off.
  struct Worst {
    double actual = 0, expected = 0;
    Shape index;  ///< in its batch
    double difference() const;
  };
  const Worst& worst() const { return worst_; }
  std::int64_t elements() const { return count_; }

 private:
  std::string name_;
  Worst worst_;
  double worst_difference_ = -1;
  std::int64_t count_ = 0;
  double squares_ = 0, reference_squares_ = 0;
  double sum_a_ = 0, sum_e_ = 0, sum_aa_ = 0, sum_ee_ = 0, sum_ae_ = 0;
};

/// `OutputDifference::relative_l2` of one pair of tensors with as many elements, whatever their
/// shapes.
double relative_l2(const Tensor& actual, const Tensor& expected);

}  // namespace peregrine::eval
