// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <type_traits>

#include "model/reference/activation.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

// The functions of one float. Integers have only the few of `unary_int`.
template <typename T>
T unary_float(Op op, const ActivationParameters& p, T x) {
  const T alpha = static_cast<T>(p.alpha);
  const T beta = static_cast<T>(p.beta);
  switch (op) {
    case Op::kAbs: return std::abs(x);
    case Op::kAcos: return std::acos(x);
    case Op::kAcosh: return std::acosh(x);
    case Op::kAsin: return std::asin(x);
    case Op::kAsinh: return std::asinh(x);
    case Op::kAtan: return std::atan(x);
    case Op::kAtanh: return std::atanh(x);
    case Op::kClip: return std::min(std::max(x, alpha), beta);
    case Op::kCeil: return std::ceil(x);
    case Op::kCelu: return std::max<T>(0, x) + std::min<T>(0, alpha * std::expm1(x / alpha));
    case Op::kCos: return std::cos(x);
    case Op::kCosh: return std::cosh(x);
    case Op::kElu: return x < 0 ? alpha * std::expm1(x) : x;
    case Op::kErf: return std::erf(x);
    case Op::kExp: return std::exp(x);
    case Op::kFloor: return std::floor(x);
    case Op::kGelu:
      if (p.tanh_gelu) {  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
        const T inner = T(0.7978845608028654) * (x + T(0.044715) * x * x * x);
        return T(0.5) * x * (1 + std::tanh(inner));
      }
      return T(0.5) * x * (1 + std::erf(x / std::numbers::sqrt2_v<T>));
    case Op::kHardSigmoid: return std::clamp<T>(alpha * x + beta, 0, 1);
    case Op::kHardSwish: return x * std::clamp<T>(x / 6 + T(0.5), 0, 1);
    case Op::kIdentity: return x;
    case Op::kIsInf:
      return std::isinf(x) && (x > 0 ? p.detect_positive : p.detect_negative) ? T(1) : T(0);
    case Op::kIsNaN: return std::isnan(x) ? T(1) : T(0);
    case Op::kLeakyRelu: return x < 0 ? alpha * x : x;
    case Op::kLog: return std::log(x);
    case Op::kMish: return x * std::tanh(std::max<T>(x, 0) + std::log1p(std::exp(-std::abs(x))));
    case Op::kNeg: return -x;
    case Op::kReciprocal: return 1 / x;
    case Op::kRelu: return x < 0 ? T(0) : x;    // NaN stays NaN
    case Op::kRound: return std::nearbyint(x);  // halves to even, the default mode
    case Op::kSelu: return beta * (x <= 0 ? alpha * std::expm1(x) : x);
    case Op::kShrink: return x < -alpha ? x + beta : x > alpha ? x - beta : T(0);
    case Op::kSigmoid: return 1 / (1 + std::exp(-x));
    case Op::kSign: return std::isnan(x) ? x : static_cast<T>((x > 0) - (x < 0));
    case Op::kSilu: return x / (1 + std::exp(-alpha * x));
    case Op::kSin: return std::sin(x);
    case Op::kSinh: return std::sinh(x);
    case Op::kSoftplus: return std::max<T>(x, 0) + std::log1p(std::exp(-std::abs(x)));
    case Op::kSoftsign: return x / (1 + std::abs(x));
    case Op::kSqrt: return std::sqrt(x);
    case Op::kTan: return std::tan(x);
    case Op::kTanh: return std::tanh(x);
    case Op::kThresholdedRelu: return x > alpha ? x : T(0);
    default: return std::numeric_limits<T>::quiet_NaN();
  }
}

bool has_integer_form(Op op) {
  switch (op) {
    case Op::kAbs:
    case Op::kBitwiseNot:
    case Op::kNeg:
    case Op::kNot:
    case Op::kRelu:
    case Op::kShrink:
    case Op::kSign:
    case Op::kIdentity: return true;
    default: return false;
  }
}

std::int64_t unary_int(Op op, const ActivationParameters& p, std::int64_t x) {
  switch (op) {
    case Op::kAbs: return x < 0 ? -x : x;
    case Op::kBitwiseNot: return ~x;
    case Op::kNeg: return -x;
    case Op::kNot: return x == 0;
    case Op::kRelu: return std::max<std::int64_t>(x, 0);
    case Op::kShrink:
      return static_cast<std::int64_t>(unary_float<double>(op, p, static_cast<double>(x)));
    case Op::kSign: return (x > 0) - (x < 0);
    default: return x;
  }
}

// b == 0 and the one overflowing quotient are undefined in C++ and in ONNX alike: they give 0.
std::int64_t divide(std::int64_t a, std::int64_t b) {
  return b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min()) ? 0 : a / b;
}

std::int64_t modulo(std::int64_t a, std::int64_t b, bool truncated) {
  if (b == 0 || b == -1) return 0;
  const std::int64_t r = a % b;
  return !truncated && r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}

std::int64_t shift(std::int64_t a, std::int64_t b, bool left) {
  if (b < 0 || b > 63) return 0;
  const auto bits = static_cast<std::uint64_t>(a);
  return static_cast<std::int64_t>(left ? bits << b : bits >> b);
}

std::int64_t wrapping(Op op, std::int64_t a, std::int64_t b) {
  const auto x = static_cast<std::uint64_t>(a);
  const auto y = static_cast<std::uint64_t>(b);
  return static_cast<std::int64_t>(op == Op::kAdd ? x + y : op == Op::kSub ? x - y : x * y);
}

template <typename T>
T extreme(bool largest, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  }
  return largest ? std::max(a, b) : std::min(a, b);
}

// What two values of one type give; comparisons give 0 or 1.
template <typename T>
T combine(Op op, bool flag, T a, T b) {
  constexpr bool kInteger = std::is_integral_v<T>;
  switch (op) {
    case Op::kAdd:
    case Op::kSub:
    case Op::kMul:
      if constexpr (kInteger)
        return wrapping(op, a, b);
      else
        return op == Op::kAdd ? a + b : op == Op::kSub ? a - b : a * b;
    case Op::kDiv:
      if constexpr (kInteger)
        return divide(a, b);
      else
        return a / b;
    case Op::kMod:
      if constexpr (kInteger)
        return modulo(a, b, flag);
      else
        return std::fmod(a, b);
    case Op::kBitShift:
      if constexpr (kInteger)
        return shift(a, b, flag);
      else
        return a;
    case Op::kBitwiseAnd:
      if constexpr (kInteger)
        return a & b;
      else
        return a;
    case Op::kBitwiseOr:
      if constexpr (kInteger)
        return a | b;
      else
        return a;
    case Op::kBitwiseXor:
      if constexpr (kInteger)
        return a ^ b;
      else
        return a;
    case Op::kAnd: return a != 0 && b != 0;
    case Op::kOr: return a != 0 || b != 0;
    case Op::kXor: return (a != 0) != (b != 0);
    case Op::kEqual: return a == b;
    case Op::kGreater: return a > b;
    case Op::kGreaterOrEqual: return a >= b;
    case Op::kLess: return a < b;
    case Op::kLessOrEqual: return a <= b;
    case Op::kPRelu: return a < 0 ? a * b : a;
    case Op::kMax: return extreme(true, a, b);
    case Op::kMin: return extreme(false, a, b);
    case Op::kSum:
    case Op::kMean: return combine(Op::kAdd, flag, a, b);
    default: return a;
  }
}

// Writes f(a, b) over the broadcast shape `to`.
template <typename A, typename B, typename F>
void broadcast_loop(const Tensor& a, const Tensor& b, const Shape& to, F&& store) {
  const A* x = a.as<A>().data();
  const B* y = b.as<B>().data();
  const std::int64_t count = element_count(to);
  if (a.shape() == to && b.shape() == to) {
    for (std::int64_t i = 0; i < count; ++i) store(i, x[i], y[i]);
    return;
  }
  Walker walker(to, {broadcast_strides(a.shape(), to), broadcast_strides(b.shape(), to)});
  for (std::int64_t i = 0; i < count; ++i, walker.next()) {
    store(i, x[walker.offset(0)], y[walker.offset(1)]);
  }
}

bool op_flag(const KernelContext& c) {
  if (c.node.op() == Op::kMod) return c.attributes().get_int("fmod", 0) != 0;
  if (c.node.op() == Op::kBitShift) return c.attributes().get_string("direction", "LEFT") == "LEFT";
  return false;
}

}  // namespace

ActivationParameters activation_parameters(Op op, const Attributes& attributes) {
  ActivationParameters p;
  p.alpha = attributes.get_float("alpha", p.alpha);
  if (op == Op::kLeakyRelu) p.alpha = attributes.get_float("alpha", 0.01F);
  if (op == Op::kHardSigmoid) {
    p.alpha = attributes.get_float("alpha", 0.2F);
    p.beta = attributes.get_float("beta", 0.5F);
  }
  if (op == Op::kClip) p.beta = attributes.get_float("beta", p.beta);
  if (op == Op::kSelu) {
    p.alpha = attributes.get_float("alpha", 1.67326319217681884765625F);
    p.beta = attributes.get_float("gamma", 1.05070102214813232421875F);
  }
  if (op == Op::kShrink) {
    p.alpha = attributes.get_float("lambd", 0.5F);
    p.beta = attributes.get_float("bias", 0.0F);
  }
  p.tanh_gelu = attributes.get_string("approximate", "none") == "tanh";
  p.detect_negative = attributes.get_int("detect_negative", 1) != 0;
  p.detect_positive = attributes.get_int("detect_positive", 1) != 0;
  return p;
}

float activate(Op op, const ActivationParameters& parameters, float x) {
  return unary_float(op, parameters, x);
}

namespace kernels {

void unary(const KernelContext& c) {
  const Op op = c.node.op();
  const ActivationParameters p = activation_parameters(op, c.attributes());
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const T* x = c.data<T>(0);
    const std::int64_t count = c.in(0).size();
    // IsNaN and IsInf answer a bool, which the interpreter holds as int64.
    const auto run = [&]<typename R>(R* y) {
      for (std::int64_t i = 0; i < count; ++i) {
        if constexpr (std::is_integral_v<T>)
          y[i] = static_cast<R>(unary_int(op, p, x[i]));
        else
          y[i] = static_cast<R>(unary_float(op, p, x[i]));
      }
    };
    if (std::is_integral_v<T> && !has_integer_form(op)) c.fail("has no integer form");
    if (c.out().dtype() == DType::kInt64)
      run(c.result<std::int64_t>());
    else
      run(c.result<T>());
  });
}

void binary(const KernelContext& c) {
  const Op op = c.node.op();
  const bool flag = op_flag(c);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const auto run = [&]<typename R>(R* y) {
      broadcast_loop<T, T>(c.in(0), c.in(1), c.out().shape(), [&](std::int64_t i, T a, T b) {
        y[i] = static_cast<R>(combine(op, flag, a, b));
      });
    };
    if (c.out().dtype() == DType::kInt64)
      run(c.result<std::int64_t>());
    else
      run(c.result<T>());
  });
}

void power(const KernelContext& c) {
  with_math_type(c, c.in(0).dtype(), [&]<typename A>(A) {
    with_math_type(c, c.in(1).dtype(), [&]<typename B>(B) {
      A* y = c.result<A>();
      broadcast_loop<A, B>(c.in(0), c.in(1), c.out().shape(), [&](std::int64_t i, A a, B b) {
        y[i] = static_cast<A>(std::pow(static_cast<double>(a), static_cast<double>(b)));
      });
    });
  });
}

void variadic(const KernelContext& c) {
  const Op op = c.node.op();
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    T* y = c.result<T>();
    const Tensor start = Tensor::of<T>(std::vector<T>{T(0)}, {});
    broadcast_loop<T, T>(c.in(0), start, c.out().shape(),
                         [&](std::int64_t i, T a, T) { y[i] = a; });
    for (std::size_t k = 1; k < c.inputs.size(); ++k) {
      broadcast_loop<T, T>(c.in(k), start, c.out().shape(),
                           [&](std::int64_t i, T a, T) { y[i] = combine(op, false, y[i], a); });
    }
    const auto count = static_cast<T>(c.inputs.size());
    if (op != Op::kMean) return;
    for (std::int64_t i = 0; i < c.out().size(); ++i) y[i] /= count;
  });
}

void clip(const KernelContext& c) {
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    const T low = c.has(1) ? *c.data<T>(1) : std::numeric_limits<T>::lowest();
    const T high = c.has(2) ? *c.data<T>(2) : std::numeric_limits<T>::max();
    const T* x = c.data<T>(0);
    T* y = c.result<T>();
    // Not std::clamp: low may exceed high, then ONNX says high.
    for (std::int64_t i = 0; i < c.in(0).size(); ++i) y[i] = std::min(std::max(x[i], low), high);
  });
}

}  // namespace kernels

void apply_epilogue(const Node& node, Tensor& output, const Tensor* residual) {
  const Epilogue& epilogue = node.epilogue;
  if (epilogue.empty()) return;
  const ActivationParameters p =
      activation_parameters(epilogue.activation, epilogue.activation_attributes);
  const auto y = output.as<float>();
  const float* r = residual ? residual->as<float>().data() : nullptr;
  const bool before = r && epilogue.residual == Epilogue::Residual::kBeforeActivation;
  const bool after = r && epilogue.residual == Epilogue::Residual::kAfterActivation;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float sum = before ? y[i] + r[i] : y[i];
    const float active = activate(epilogue.activation, p, sum);
    y[i] = after ? active + r[i] : active;
  }
}

}  // namespace peregrine::model::reference
