// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/host_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/cuda/kernels/element.h"

namespace peregrine::testing {
namespace {

using namespace peregrine::cuda;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

int place_of(const Rows& rows, const RowTensor& tensor, int row, int element) {
  return offset_of(row, rows.rows, tensor.row_strides) +
         offset_of(element, rows.elements, tensor.element_strides);
}
double read(const Rows& rows, const RowTensor& tensor, int row, int element) {
  const int at = place_of(rows, tensor, row, element);
  return tensor.dtype == DType::kInt64
             ? static_cast<double>(load_any<std::int64_t>(tensor.data, tensor.dtype, at))
             : double{load_any<float>(tensor.data, tensor.dtype, at)};
}
void write(const Rows& rows, const RowTensor& tensor, int row, int element, double value) {
  const int at = place_of(rows, tensor, row, element);
  if (tensor.dtype == DType::kInt64) {
    store_any(tensor.data, tensor.dtype, at, static_cast<std::int64_t>(value));
  } else {
    store_any(tensor.data, tensor.dtype, at, static_cast<float>(value));
  }
}
std::vector<double> row_of(const Rows& rows, const RowTensor& tensor, int row) {
  std::vector<double> values;
  for (int i = 0; i < rows.elements.count; ++i) values.push_back(read(rows, tensor, row, i));
  return values;
}

template <typename F>
double sum_of(const std::vector<double>& values, F&& f) {
  double sum = 0;
  for (const double value : values) sum += f(value);
  return sum;
}

std::size_t best_of(const std::vector<double>& x, bool largest, bool last) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < x.size(); ++i) {
    if ((largest ? x[i] > x[best] : x[i] < x[best]) || (last && x[i] == x[best])) best = i;
  }
  return best;
}

double reduced(ReduceOp op, const std::vector<double>& x, bool last) {
  const auto same = [](double v) { return v; };
  const auto square = [](double v) { return v * v; };
  switch (op) {
    case ReduceOp::kSum: return sum_of(x, same);
    case ReduceOp::kMean: return sum_of(x, same) / static_cast<double>(x.size());
    case ReduceOp::kL1: return sum_of(x, [](double v) { return std::abs(v); });
    case ReduceOp::kL2: return std::sqrt(sum_of(x, square));
    case ReduceOp::kSumSquare: return sum_of(x, square);
    case ReduceOp::kLogSum: return std::log(sum_of(x, same));
    case ReduceOp::kLogSumExp: return std::log(sum_of(x, [](double v) { return std::exp(v); }));
    case ReduceOp::kProd: {
      double product = 1;
      for (const double value : x) product *= value;
      return product;
    }
    case ReduceOp::kMax: return x.empty() ? -kInfinity : *std::max_element(x.begin(), x.end());
    case ReduceOp::kMin: return x.empty() ? kInfinity : *std::min_element(x.begin(), x.end());
    case ReduceOp::kArgMax: return static_cast<double>(best_of(x, true, last));
    case ReduceOp::kArgMin: return static_cast<double>(best_of(x, false, last));
  }
  return 0;
}

std::vector<double> normalized(Normalization kind, std::vector<double> x, double epsilon) {
  const auto count = static_cast<double>(x.size());
  const auto square = [](double v) { return v * v; };
  const double largest = *std::max_element(x.begin(), x.end());
  const double exps = sum_of(x, [&](double v) { return std::exp(v - largest); });
  const double mean = sum_of(x, [](double v) { return v; }) / count;
  const double variance = sum_of(x, [&](double v) { return (v - mean) * (v - mean); }) / count;
  const std::size_t best = best_of(x, true, false);
  const double l1 = sum_of(x, [](double v) { return std::abs(v); });
  const double l2 = std::sqrt(sum_of(x, square));
  const double rms = std::sqrt(l2 * l2 / count + epsilon);
  for (std::size_t i = 0; i < x.size(); ++i) {
    switch (kind) {
      case Normalization::kSoftmax: x[i] = std::exp(x[i] - largest) / exps; break;
      case Normalization::kLogSoftmax: x[i] -= largest + std::log(exps); break;
      case Normalization::kHardmax: x[i] = i == best ? 1 : 0; break;
      case Normalization::kLayer: x[i] = (x[i] - mean) / std::sqrt(variance + epsilon); break;
      case Normalization::kRms: x[i] /= rms; break;
      case Normalization::kL1: x[i] = l1 == 0 ? 0 : x[i] / l1; break;
      case Normalization::kL2: x[i] = l2 == 0 ? 0 : x[i] / l2; break;
      case Normalization::kMeanVariance:
        x[i] = (x[i] - mean) / (std::sqrt(variance) + epsilon);
        break;
    }
  }
  return x;
}

}  // namespace

void reduce_on_host(const ReduceParams& p) {
  for (int row = 0; row < p.rows.rows.count; ++row) {
    write(p.rows, p.output, row, 0, reduced(p.op, row_of(p.rows, p.input, row), p.select_last));
  }
}

void normalize_on_host(const NormalizeParams& p) {
  for (int row = 0; row < p.rows.rows.count; ++row) {
    const auto y = normalized(p.kind, row_of(p.rows, p.input, row), double{p.epsilon});
    for (int i = 0; i < p.rows.elements.count; ++i) {
      const double scale = p.scale.data ? read(p.rows, p.scale, row, i) : 1;
      const double bias = p.bias.data ? read(p.rows, p.bias, row, i) : 0;
      write(p.rows, p.output, row, i, y[static_cast<std::size_t>(i)] * scale + bias);
    }
  }
}

void cumulative_sum_on_host(const CumulativeSumParams& p) {
  const int count = p.rows.elements.count;
  for (int row = 0; row < p.rows.rows.count; ++row) {
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const int i = p.reverse ? count - 1 - k : k;
      const double before = sum;
      sum += read(p.rows, p.input, row, i);
      write(p.rows, p.output, row, i, p.exclusive ? before : sum);
    }
  }
}

void local_response_on_host(const LocalResponseParams& p) {
  const int count = p.rows.elements.count;
  for (int row = 0; row < p.rows.rows.count; ++row) {
    const auto x = row_of(p.rows, p.input, row);
    for (int i = 0; i < count; ++i) {
      double squares = 0;
      for (int k = std::max(i - p.before, 0); k <= std::min(i + p.after, count - 1); ++k) {
        squares += x[static_cast<std::size_t>(k)] * x[static_cast<std::size_t>(k)];
      }
      const double divisor = std::pow(p.bias + p.alpha * squares, p.beta);
      write(p.rows, p.output, row, i, x[static_cast<std::size_t>(i)] / divisor);
    }
  }
}

}  // namespace peregrine::testing
