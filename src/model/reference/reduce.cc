// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "model/geometry.h"
#include "model/reference/kernel.h"
#include "model/shape_rules.h"

namespace peregrine::model::reference {
namespace {

template <typename T>
T lowest() {
  return std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                     : std::numeric_limits<T>::lowest();
}
template <typename T>
T highest() {
  return std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity()
                                     : std::numeric_limits<T>::max();
}

// Sums in double: the reference is where an error of accumulation must not hide.
template <typename T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, T>;

template <typename T>
Accumulator<T> start_of(Op op) {
  if (op == Op::kReduceProd) return 1;
  if (op == Op::kReduceMax || op == Op::kReduceLogSumExp) return lowest<T>();
  if (op == Op::kReduceMin) return highest<T>();
  return 0;
}

template <typename A>
A take_in(Op op, A so_far, A x) {
  switch (op) {
    case Op::kReduceL1: return so_far + (x < 0 ? -x : x);
    case Op::kReduceL2:
    case Op::kReduceSumSquare: return so_far + x * x;
    case Op::kReduceProd: return so_far * x;
    case Op::kReduceMax:
    case Op::kReduceLogSumExp:  // first pass: the maximum, so that exp cannot overflow
      return std::max(so_far, x);
    case Op::kReduceMin: return std::min(so_far, x);
    default: return so_far + x;
  }
}

template <typename A>
A finish(Op op, A sum, std::int64_t count) {
  switch (op) {
    case Op::kReduceL2: return static_cast<A>(std::sqrt(static_cast<double>(sum)));
    case Op::kReduceLogSum: return static_cast<A>(std::log(static_cast<double>(sum)));
    case Op::kReduceMean: return count == 0 ? sum : static_cast<A>(sum / static_cast<A>(count));
    default: return sum;
  }
}

// Strides of the reduced output over the input's positions: 0 along reduced axes.
Ints output_strides(const Shape& x, const std::vector<bool>& reduced) {
  Ints strides(x.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = x.size(); i-- > 0;) {
    if (reduced[i]) continue;
    strides[i] = stride;
    stride *= x[i];
  }
  return strides;
}

template <typename T>
void reduce_typed(const KernelContext& c, const std::vector<bool>& reduced) {
  using A = Accumulator<T>;
  const Op op = c.node.op();
  const Shape& shape = c.shape(0);
  const auto outputs = static_cast<std::size_t>(c.out().size());
  const std::int64_t inputs = c.in(0).size();
  const T* x = c.data<T>(0);
  std::vector<A> sums(outputs, start_of<T>(op));
  const Ints strides = output_strides(shape, reduced);
  Walker walker(shape, {strides});
  for (std::int64_t i = 0; i < inputs; ++i, walker.next()) {
    A& sum = sums[static_cast<std::size_t>(walker.offset(0))];
    sum = take_in(op, sum, static_cast<A>(x[i]));
  }
  if (op == Op::kReduceLogSumExp) {
    std::vector<double> exps(outputs, 0.0);
    Walker again(shape, {strides});
    for (std::int64_t i = 0; i < inputs; ++i, again.next()) {
      const auto at = static_cast<std::size_t>(again.offset(0));
      exps[at] += std::exp(static_cast<double>(x[i]) - static_cast<double>(sums[at]));
    }
    for (std::size_t i = 0; i < outputs; ++i) {
      const auto largest = static_cast<double>(sums[i]);
      sums[i] = static_cast<A>(std::isinf(largest) ? largest : largest + std::log(exps[i]));
    }
  }
  const std::int64_t count = outputs == 0 ? 0 : inputs / static_cast<std::int64_t>(outputs);
  for (std::size_t i = 0; i < outputs; ++i) {
    c.result<T>()[i] = static_cast<T>(finish(op, sums[i], count));
  }
}

}  // namespace

namespace kernels {

void reduce(const KernelContext& c) {
  const Ints axes = c.has(1) ? to_ints(c.in(1)) : Ints();
  const bool nothing = axes.empty() && c.attributes().get_int("noop_with_empty_axes", 0) != 0;
  const auto rank = static_cast<std::int64_t>(c.shape(0).size());
  std::vector<bool> reduced(c.shape(0).size(), axes.empty() && !nothing);
  for (const std::int64_t axis : axes)
    reduced[static_cast<std::size_t>(wrap_axis(axis, rank))] = true;
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) { reduce_typed<T>(c, reduced); });
}

void arg_reduce(const KernelContext& c) {
  const AxisView x = axis_view(c.shape(0), c.attributes().get_int("axis", 0));
  const bool largest = c.node.op() == Op::kArgMax;
  const bool last = c.attributes().get_int("select_last_index", 0) != 0;
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t outer = 0; outer < x.outer; ++outer)
      for (std::int64_t i = 0; i < x.inner; ++i) {
        const T* row = c.data<T>(0) + outer * x.extent * x.inner + i;
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < x.extent; ++k) {
          const T value = row[k * x.inner];
          const T leader = row[best * x.inner];
          if ((largest ? value > leader : value < leader) || (last && value == leader)) best = k;
        }
        c.result<std::int64_t>()[outer * x.inner + i] = best;
      }
  });
}

void cumulative_sum(const KernelContext& c) {
  const Ints axis = to_ints(c.in(1));
  if (axis.size() != 1) c.fail("wants one axis");
  const AxisView x = axis_view(c.shape(0), axis[0]);
  const bool exclusive = c.attributes().get_int("exclusive", 0) != 0;
  const bool reverse = c.attributes().get_int("reverse", 0) != 0;
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t outer = 0; outer < x.outer; ++outer)
      for (std::int64_t i = 0; i < x.inner; ++i) {
        const std::int64_t row = outer * x.extent * x.inner + i;
        Accumulator<T> sum = 0;
        for (std::int64_t k = 0; k < x.extent; ++k) {
          const std::int64_t at = row + (reverse ? x.extent - 1 - k : k) * x.inner;
          const auto value = static_cast<Accumulator<T>>(c.data<T>(0)[at]);
          if (exclusive) c.result<T>()[at] = static_cast<T>(sum);
          sum += value;
          if (!exclusive) c.result<T>()[at] = static_cast<T>(sum);
        }
      }
  });
}

}  // namespace kernels
}  // namespace peregrine::model::reference
