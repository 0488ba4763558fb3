// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "model/geometry.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};

template <typename T>
Moments moments(const T* x, std::int64_t count) {
  Moments m;
  for (std::int64_t i = 0; i < count; ++i) m.mean += static_cast<double>(x[i]);
  m.mean /= static_cast<double>(std::max<std::int64_t>(count, 1));
  for (std::int64_t i = 0; i < count; ++i) {
    const double d = static_cast<double>(x[i]) - m.mean;
    m.variance += d * d;
  }
  m.variance /= static_cast<double>(std::max<std::int64_t>(count, 1));
  return m;
}

void check_channels(const KernelContext& c, std::size_t index, std::int64_t channels) {
  if (c.in(index).size() != channels) {
    c.fail(fmt::format("has {} values as input {} for {} channels", c.in(index).size(), index,
                       channels));
  }
}

std::int64_t channels_of(const KernelContext& c) {
  if (c.shape(0).size() < 2) c.fail("wants a channel axis");
  return c.shape(0)[1];
}

template <typename T>
void softmax_row(Op op, const T* x, T* y, std::int64_t count, std::int64_t stride) {
  double largest = -std::numeric_limits<double>::infinity();
  std::int64_t where = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(x[i * stride]);
    if (value > largest) largest = value, where = i;
  }
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    sum += std::exp(static_cast<double>(x[i * stride]) - largest);
  for (std::int64_t i = 0; i < count; ++i) {
    const double shifted = static_cast<double>(x[i * stride]) - largest;
    double value = i == where ? 1 : 0;
    if (op == Op::kSoftmax) value = std::exp(shifted) / sum;
    if (op == Op::kLogSoftmax) value = shifted - std::log(sum);
    y[i * stride] = static_cast<T>(value);
  }
}

}  // namespace

namespace kernels {

void softmax(const KernelContext& c) {
  const std::int64_t axis = c.attributes().get_int("axis", -1);
  AxisView x = axis_view(c.shape(0), axis);
  if (c.attributes().get_int("flatten_from_axis", 0) != 0) {  // the form before opset 13
    x = {x.outer, x.extent * x.inner, 1};
  }
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t outer = 0; outer < x.outer; ++outer)
      for (std::int64_t i = 0; i < x.inner; ++i) {
        const std::int64_t at = outer * x.extent * x.inner + i;
        softmax_row(c.node.op(), c.data<T>(0) + at, c.result<T>() + at, x.extent, x.inner);
      }
  });
}

void batch_normalization(const KernelContext& c) {
  const std::int64_t channels = channels_of(c);
  for (std::size_t i = 1; i < 5; ++i) check_channels(c, i, channels);
  const float epsilon = c.attributes().get_float("epsilon", 1e-5F);
  const AxisView x = axis_view(c.shape(0), 1);
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t i = 0; i < x.outer * channels; ++i) {
      const std::int64_t k = i % channels;
      const double scale =
          static_cast<double>(c.data<T>(1)[k]) /
          std::sqrt(static_cast<double>(c.data<T>(4)[k]) + static_cast<double>(epsilon));
      const auto mean = static_cast<double>(c.data<T>(3)[k]);
      const auto bias = static_cast<double>(c.data<T>(2)[k]);
      for (std::int64_t p = i * x.inner; p < (i + 1) * x.inner; ++p) {
        c.result<T>()[p] =
            static_cast<T>((static_cast<double>(c.data<T>(0)[p]) - mean) * scale + bias);
      }
    }
  });
}

void layer_normalization(const KernelContext& c) {
  const AxisView view = axis_view(c.shape(0), c.attributes().get_int("axis", -1));
  const std::int64_t count = view.extent * view.inner;
  const auto epsilon = static_cast<double>(c.attributes().get_float("epsilon", 1e-5F));
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const Shape& shape = c.shape(0);
    std::vector<Ints> strides{broadcast_strides(c.shape(1), shape)};
    if (c.has(2)) strides.push_back(broadcast_strides(c.shape(2), shape));
    Walker walker(shape, strides);
    for (std::int64_t row = 0; row < view.outer; ++row) {
      const T* x = c.data<T>(0) + row * count;
      const Moments m = moments(x, count);
      const double inverse = 1 / std::sqrt(m.variance + epsilon);
      for (std::int64_t i = 0; i < count; ++i, walker.next()) {
        const double normal = (static_cast<double>(x[i]) - m.mean) * inverse;
        const double bias = c.has(2) ? static_cast<double>(c.data<T>(2)[walker.offset(1)]) : 0.0;
        const auto scale = static_cast<double>(c.data<T>(1)[walker.offset(0)]);
        c.result<T>()[row * count + i] = static_cast<T>(normal * scale + bias);
      }
      if (c.wants(1)) c.result<float>(1)[row] = static_cast<float>(m.mean);
      if (c.wants(2)) c.result<float>(2)[row] = static_cast<float>(inverse);
    }
  });
}

void rms_normalization(const KernelContext& c) {
  const AxisView view = axis_view(c.shape(0), c.attributes().get_int("axis", -1));
  const std::int64_t count = view.extent * view.inner;
  const auto epsilon = static_cast<double>(c.attributes().get_float("epsilon", 1e-5F));
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    Walker walker(c.shape(0), {broadcast_strides(c.shape(1), c.shape(0))});
    for (std::int64_t row = 0; row < view.outer; ++row) {
      const T* x = c.data<T>(0) + row * count;
      double squares = 0;
      for (std::int64_t i = 0; i < count; ++i)
        squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      const double inverse = 1 / std::sqrt(squares / static_cast<double>(count) + epsilon);
      for (std::int64_t i = 0; i < count; ++i, walker.next()) {
        const auto scale = static_cast<double>(c.data<T>(1)[walker.offset(0)]);
        c.result<T>()[row * count + i] =
            static_cast<T>(static_cast<double>(x[i]) * inverse * scale);
      }
    }
  });
}

// Instance normalization is group normalization with a group a channel.
namespace {
void normalize_groups(const KernelContext& c, std::int64_t groups, bool scale_per_group) {
  const std::int64_t channels = channels_of(c);
  if (groups < 1 || channels % groups != 0)
    c.fail(fmt::format("has {} channels in {} groups", channels, groups));
  for (std::size_t i = 1; i < 3; ++i) check_channels(c, i, scale_per_group ? groups : channels);
  const AxisView x = axis_view(c.shape(0), 1);
  const std::int64_t group_channels = channels / groups;
  const std::int64_t count = group_channels * x.inner;
  const auto epsilon = static_cast<double>(c.attributes().get_float("epsilon", 1e-5F));
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t g = 0; g < x.outer * groups; ++g) {
      const Moments m = moments(c.data<T>(0) + g * count, count);
      const double inverse = 1 / std::sqrt(m.variance + epsilon);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t channel = g % groups * group_channels + i / x.inner;
        const std::int64_t k = scale_per_group ? g % groups : channel;
        const double normal = (static_cast<double>(c.data<T>(0)[g * count + i]) - m.mean) * inverse;
        c.result<T>()[g * count + i] = static_cast<T>(
            normal * static_cast<double>(c.data<T>(1)[k]) + static_cast<double>(c.data<T>(2)[k]));
      }
    }
  });
}
}  // namespace

void group_normalization(const KernelContext& c) {
  normalize_groups(c, c.attributes().get_int("num_groups", 0),
                   c.attributes().get_int("scale_per_group", 0) != 0);
}

void instance_normalization(const KernelContext& c) { normalize_groups(c, channels_of(c), false); }

void local_response_normalization(const KernelContext& c) {
  const std::int64_t channels = channels_of(c);
  const std::int64_t window = c.attributes().get_int("size", 1);
  const auto alpha = static_cast<double>(c.attributes().get_float("alpha", 1e-4F));
  const auto beta = static_cast<double>(c.attributes().get_float("beta", 0.75F));
  const auto bias = static_cast<double>(c.attributes().get_float("bias", 1.0F));
  const AxisView x = axis_view(c.shape(0), 1);
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t n = 0; n < x.outer; ++n)
      for (std::int64_t k = 0; k < channels; ++k)
        for (std::int64_t p = 0; p < x.inner; ++p) {
          const T* plane = c.data<T>(0) + n * channels * x.inner + p;
          double squares = 0;
          const std::int64_t first = std::max<std::int64_t>(k - (window - 1) / 2, 0);
          const std::int64_t last = std::min(k + window / 2, channels - 1);
          for (std::int64_t i = first; i <= last; ++i) {
            squares +=
                static_cast<double>(plane[i * x.inner]) * static_cast<double>(plane[i * x.inner]);
          }
          const double divisor =
              std::pow(bias + alpha / static_cast<double>(window) * squares, beta);
          c.result<T>()[(n * channels + k) * x.inner + p] =
              static_cast<T>(static_cast<double>(plane[k * x.inner]) / divisor);
        }
  });
}

void lp_normalization(const KernelContext& c) {
  const AxisView x = axis_view(c.shape(0), c.attributes().get_int("axis", -1));
  const bool l1 = c.attributes().get_int("p", 2) == 1;
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t outer = 0; outer < x.outer; ++outer)
      for (std::int64_t i = 0; i < x.inner; ++i) {
        const std::int64_t at = outer * x.extent * x.inner + i;
        const T* row = c.data<T>(0) + at;
        double norm = 0;
        for (std::int64_t k = 0; k < x.extent; ++k) {
          const auto value = static_cast<double>(row[k * x.inner]);
          norm += l1 ? std::abs(value) : value * value;
        }
        if (!l1) norm = std::sqrt(norm);
        for (std::int64_t k = 0; k < x.extent; ++k) {
          const auto value = static_cast<double>(row[k * x.inner]);
          c.result<T>()[at + k * x.inner] = static_cast<T>(norm == 0 ? 0 : value / norm);
        }
      }
  });
}

void mean_variance_normalization(const KernelContext& c) {
  const Ints axes = c.attributes().get_ints("axes", {0, 2, 3});
  const Shape& shape = c.shape(0);
  std::vector<bool> reduced(shape.size(), false);
  for (const std::int64_t axis : axes) {
    reduced[static_cast<std::size_t>(wrap_axis(axis, static_cast<std::int64_t>(shape.size())))] =
        true;
  }
  Ints strides(shape.size(), 0);
  std::int64_t groups = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (reduced[i]) continue;
    strides[i] = groups;
    groups *= shape[i];
  }
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const std::int64_t count = c.in(0).size();
    std::vector<double> sums(static_cast<std::size_t>(groups), 0.0);
    std::vector<double> squares = sums;
    const auto each = [&](auto&& f) {
      Walker walker(shape, {strides});
      for (std::int64_t i = 0; i < count; ++i, walker.next())
        f(i, static_cast<std::size_t>(walker.offset(0)));
    };
    const double size =
        static_cast<double>(count) / static_cast<double>(std::max<std::int64_t>(groups, 1));
    each([&](std::int64_t i, std::size_t g) {
      sums[g] += static_cast<double>(c.data<T>(0)[i]) / size;
    });
    each([&](std::int64_t i, std::size_t g) {
      const double d = static_cast<double>(c.data<T>(0)[i]) - sums[g];
      squares[g] += d * d / size;
    });
    constexpr double kEpsilon = 1e-9;  // as ONNX's function body has it
    each([&](std::int64_t i, std::size_t g) {
      const double d = static_cast<double>(c.data<T>(0)[i]) - sums[g];
      c.result<T>()[i] = static_cast<T>(d / (std::sqrt(squares[g]) + kEpsilon));
    });
  });
}

}  // namespace kernels
}  // namespace peregrine::model::reference
