// SPDX-License-Identifier: Apache-2.0
#include "eval/output_difference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "model/convert.h"
#include "peregrine/error.h"

namespace peregrine::eval {
namespace {

Tensor doubles(const TensorView& view) {
  Tensor copy(view.dtype, view.shape);
  if (copy.bytes() > 0) std::memcpy(copy.data(), view.data, copy.bytes());
  return model::convert(copy, DType::kFloat64);
}

Shape index_of(std::int64_t element, const Shape& shape) {
  Shape index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return index;
}

}  // namespace

double OutputDifference::Worst::difference() const { return std::abs(actual - expected); }

void OutputDifference::add(const TensorView& actual, const TensorView& expected) {
  if (actual.shape != expected.shape) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output '{}' has shape {}, its reference {}", name_,
                            to_string(actual.shape), to_string(expected.shape)));
  }
  const Tensor a_tensor = doubles(actual), e_tensor = doubles(expected);
  const auto a = a_tensor.as<double>(), e = e_tensor.as<double>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    // Equal infinities differ by nothing; everything else that is not finite is as far off as can
    // be.
    const double difference = a[i] == e[i] ? 0 : std::abs(a[i] - e[i]);
    squares_ += difference * difference;
    if (std::isfinite(e[i])) reference_squares_ += e[i] * e[i];
    sum_a_ += a[i];
    sum_e_ += e[i];
    sum_aa_ += a[i] * a[i];
    sum_ee_ += e[i] * e[i];
    sum_ae_ += a[i] * e[i];
    const double rank =
        std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
    if (rank > worst_difference_) {
      worst_difference_ = rank;
      worst_ = {a[i], e[i], index_of(static_cast<std::int64_t>(i), actual.shape)};
    }
  }
  count_ += static_cast<std::int64_t>(a.size());
}

double OutputDifference::relative_l2() const {
  if (squares_ == 0) return 0;
  return std::sqrt(squares_ / std::max(reference_squares_, 1e-30));
}

double OutputDifference::correlation() const {
  const auto n = static_cast<double>(std::max<std::int64_t>(count_, 1));
  const double variance_a = sum_aa_ - sum_a_ * sum_a_ / n;
  const double variance_e = sum_ee_ - sum_e_ * sum_e_ / n;
  if (variance_a <= 0 && variance_e <= 0) return 1;
  return (sum_ae_ - sum_a_ * sum_e_ / n) / std::sqrt(variance_a * variance_e);
}

double relative_l2(const Tensor& actual, const Tensor& expected) {
  OutputDifference difference("");
  const auto flat = [](const Tensor& tensor) {
    return TensorView(const_cast<void*>(tensor.data()), tensor.dtype(), {tensor.size()});
  };
  difference.add(flat(actual), flat(expected));
  return difference.relative_l2();
}

}  // namespace peregrine::eval
