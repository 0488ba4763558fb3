// SPDX-License-Identifier: Apache-2.0
// What each pointwise op does, and what one thread does with a chain of them: on the device the
// kernel's body, on the host what its tests run.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "engine/cuda/kernels/element.h"
#include "engine/cuda/kernels/pointwise.h"
#ifdef __CUDACC__
#include "engine/cuda/kernels/activation.cuh"
#endif

namespace peregrine::cuda {
namespace pointwise {

PEREGRINE_HOST_DEVICE float sigmoid_of(float x) {
#ifdef __CUDA_ARCH__
  return sigmoid(x);
#else
  return 1.0F / (1.0F + std::exp(-x));
#endif
}

/// Exact where pow is not; below 0 what is left of 1 / a^-x.
PEREGRINE_HOST_DEVICE std::int64_t integer_power(std::int64_t a, std::int64_t x) {
  if (x < 0) return a == 1 ? 1 : a == -1 ? (x % 2 != 0 ? -1 : 1) : 0;
  std::uint64_t base = static_cast<std::uint64_t>(a), result = 1;
  for (; x > 0; x /= 2) {
    if (x % 2 != 0) result *= base;
    base *= base;
  }
  return static_cast<std::int64_t>(result);
}

/// Towards zero, but a power that is off a whole number by rounding alone is that number.
PEREGRINE_HOST_DEVICE float truncated_power(double a, double x) {
  const double power = pow(a, x), whole = rint(power);
  const bool rounding = fabs(power - whole) < 1e-12 * fabs(power);
  return static_cast<float>(rounding ? whole : trunc(power));
}

PEREGRINE_HOST_DEVICE float softplus_of(float x) {
  return fmaxf(x, 0.0F) + log1pf(expf(-fabsf(x)));
}

/// Floats' ops that need many instructions or are seldom met: one call a value.
PEREGRINE_HOST_DEVICE_CALL float seldom(PointwiseOp op, float alpha, float beta, float a, float x) {
  using enum PointwiseOp;
  switch (op) {
    case kAcos: return acosf(a);
    case kAcosh: return acoshf(a);
    case kAsin: return asinf(a);
    case kAsinh: return asinhf(a);
    case kAtan: return atanf(a);
    case kAtanh: return atanhf(a);
    case kCelu: return fmaxf(a, 0.0F) + fminf(0.0F, alpha * expm1f(a / alpha));
    case kCos: return cosf(a);
    case kCosh: return coshf(a);
    case kElu: return a < 0 ? alpha * expm1f(a) : a;
    case kErf: return erff(a);
    case kGeluTanh: return 0.5F * a * (1 + tanhf(0.7978845608F * (a + 0.044715F * a * a * a)));
    case kIsInf:
      return fabsf(a) == std::numeric_limits<float>::infinity() && (a > 0 ? beta : alpha) != 0
                 ? 1.0F
                 : 0.0F;
    case kIsNaN: return a != a ? 1.0F : 0.0F;
    case kLog: return logf(a);
    case kMish: return a * tanhf(softplus_of(a));
    case kMod: return fmodf(a, x);
    case kPow: return powf(a, x);
    case kPowTruncated: return truncated_power(a, x);
    case kSelu: return beta * (a <= 0 ? alpha * expm1f(a) : a);
    case kSin: return sinf(a);
    case kSinh: return sinhf(a);
    case kSoftplus: return softplus_of(a);
    case kTan: return tanf(a);
    case kTanh: return tanhf(a);
    default: return std::numeric_limits<float>::quiet_NaN();
  }
}

// Division by zero and the one overflowing quotient give 0, as in the reference interpreter.
PEREGRINE_HOST_DEVICE std::int64_t quotient(std::int64_t a, std::int64_t b) {
  if (b == -1)
    return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a)) *
           (a != std::numeric_limits<std::int64_t>::min());
  return b == 0 ? 0 : a / b;
}
PEREGRINE_HOST_DEVICE std::int64_t remainder(std::int64_t a, std::int64_t b, bool truncated) {
  if (b == 0 || b == -1) return 0;
  const std::int64_t r = a % b;
  return !truncated && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
PEREGRINE_HOST_DEVICE std::int64_t shifted(std::int64_t a, std::int64_t by, bool left) {
  if (by < 0 || by > 63) return 0;
  const auto bits = static_cast<std::uint64_t>(a);
  return static_cast<std::int64_t>(left ? bits << by : bits >> by);
}

/// Integers' own ops, likewise.
PEREGRINE_HOST_DEVICE_CALL std::int64_t seldom(PointwiseOp op, float alpha, float beta,
                                               std::int64_t a, std::int64_t x) {
  using enum PointwiseOp;
  switch (op) {
    case kBitwiseAnd: return a & x;
    case kBitwiseNot: return ~a;
    case kBitwiseOr: return a | x;
    case kBitwiseXor: return a ^ x;
    case kMod: return remainder(a, x, false);
    case kModTruncated: return remainder(a, x, true);
    case kPow: return integer_power(a, x);
    case kShiftLeft: return shifted(a, x, true);
    case kShiftRight: return shifted(a, x, false);
    case kShrink: {
      const auto real = static_cast<double>(a);
      return real < -alpha  ? static_cast<std::int64_t>(real + beta)
             : real > alpha ? static_cast<std::int64_t>(real - beta)
                            : 0;
    }
    default: return 0;
  }
}

// Integers wrap.
template <typename T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;

template <typename T, int N, typename F>
PEREGRINE_HOST_DEVICE void each(T (&a)[N], const T (&x)[N], F&& f) {
  PEREGRINE_UNROLL
  for (int k = 0; k < N; ++k) a[k] = static_cast<T>(f(a[k], x[k]));
}

/// Ops that both have. False: `op` is none of them.
template <typename T, int N>
PEREGRINE_HOST_DEVICE bool apply_common(const PointwiseInstruction& i, T (&a)[N], const T (&x)[N],
                                        const T (&y)[N]) {
  using enum PointwiseOp;
  using W = Wrapping<T>;
  switch (i.op) {
    case kLoad:
    case kSelect:
    case kKeepWhere:
    case kKeepUnless:
      PEREGRINE_UNROLL
      for (int k = 0; k < N; ++k) {
        if (i.op == kLoad) {
          a[k] = x[k];
        } else if (i.op == kSelect) {
          a[k] = a[k] != 0 ? x[k] : y[k];
        } else {
          a[k] = (x[k] != 0) == (i.op == kKeepWhere) ? a[k] : y[k];
        }
      }
      return true;
    case kAbs: each(a, x, [](T v, T) { return v < 0 ? 0 - W(v) : W(v); }); return true;
    case kAdd: each(a, x, [](T v, T w) { return W(v) + W(w); }); return true;
    case kAnd: each(a, x, [](T v, T w) { return v != 0 && w != 0; }); return true;
    case kEqual: each(a, x, [](T v, T w) { return v == w; }); return true;
    case kGreater: each(a, x, [](T v, T w) { return v > w; }); return true;
    case kGreaterOrEqual: each(a, x, [](T v, T w) { return v >= w; }); return true;
    case kLess: each(a, x, [](T v, T w) { return v < w; }); return true;
    case kLessOrEqual: each(a, x, [](T v, T w) { return v <= w; }); return true;
    // A NaN on either side wins.
    case kMax: each(a, x, [](T v, T w) { return v > w || v != v ? v : w; }); return true;
    case kMin: each(a, x, [](T v, T w) { return v < w || v != v ? v : w; }); return true;
    case kMul: each(a, x, [](T v, T w) { return W(v) * W(w); }); return true;
    case kNeg: each(a, x, [](T v, T) { return -W(v); }); return true;
    case kNot: each(a, x, [](T v, T) { return v == 0; }); return true;
    case kNotZero: each(a, x, [](T v, T) { return v != 0; }); return true;
    case kOr: each(a, x, [](T v, T w) { return v != 0 || w != 0; }); return true;
    case kPRelu: each(a, x, [](T v, T w) { return v < 0 ? W(v) * W(w) : W(v); }); return true;
    case kRelu: each(a, x, [](T v, T) { return v < 0 ? T(0) : v; }); return true;
    case kSign: each(a, x, [](T v, T) { return v != v ? v : T(v > 0) - T(v < 0); }); return true;
    case kSub: each(a, x, [](T v, T w) { return W(v) - W(w); }); return true;
    case kXor: each(a, x, [](T v, T w) { return (v != 0) != (w != 0); }); return true;
    default: return false;
  }
}

template <int N>
PEREGRINE_HOST_DEVICE void apply_own(const PointwiseInstruction& i, float (&a)[N],
                                     const float (&x)[N]) {
  using enum PointwiseOp;
  using F = float;
  switch (i.op) {
    case kCeil: return each(a, x, [](F v, F) { return ceilf(v); });
    case kDiv: return each(a, x, [](F v, F w) { return v / w; });
    case kExp: return each(a, x, [](F v, F) { return expf(v); });
    case kFloor: return each(a, x, [](F v, F) { return floorf(v); });
    case kGelu: return each(a, x, [](F v, F) { return 0.5F * v * (1 + erff(v * 0.70710678F)); });
    case kHardSigmoid:
      return each(a, x, [&](F v, F) { return fminf(fmaxf(i.alpha * v + i.beta, 0), 1); });
    case kHardSwish: return each(a, x, [](F v, F) { return v * fminf(fmaxf(v / 6 + 0.5F, 0), 1); });
    case kLeakyRelu: return each(a, x, [&](F v, F) { return v < 0 ? i.alpha * v : v; });
    case kReciprocal: return each(a, x, [](F v, F) { return 1 / v; });
    case kRound: return each(a, x, [](F v, F) { return rintf(v); });
    case kShrink:
      return each(a, x, [&](F v, F) {
        return v < -i.alpha ? v + i.beta : v > i.alpha ? v - i.beta : 0.0F;
      });
    case kSigmoid: return each(a, x, [](F v, F) { return sigmoid_of(v); });
    case kSilu: return each(a, x, [&](F v, F) { return v * sigmoid_of(i.alpha * v); });
    case kSoftsign: return each(a, x, [](F v, F) { return v / (1 + fabsf(v)); });
    case kSqrt: return each(a, x, [](F v, F) { return sqrtf(v); });
    case kSquare: return each(a, x, [](F v, F) { return v * v; });
    case kThresholdedRelu: return each(a, x, [&](F v, F) { return v > i.alpha ? v : 0.0F; });
    case kTruncate: return each(a, x, [](F v, F) { return truncf(v); });
    default: return each(a, x, [&](F v, F w) { return seldom(i.op, i.alpha, i.beta, v, w); });
  }
}
template <int N>
PEREGRINE_HOST_DEVICE void apply_own(const PointwiseInstruction& i, std::int64_t (&a)[N],
                                     const std::int64_t (&x)[N]) {
  using I = std::int64_t;
  if (i.op == PointwiseOp::kTruncate) return;
  if (i.op == PointwiseOp::kDiv) return each(a, x, [](I v, I w) { return quotient(v, w); });
  each(a, x, [&](I v, I w) { return seldom(i.op, i.alpha, i.beta, v, w); });
}

/// The switch stands outside the loop over values: it costs once for N of them.
template <typename T, int N>
PEREGRINE_HOST_DEVICE void apply(const PointwiseInstruction& i, T (&a)[N], T (&x)[N],
                                 const T (&y)[N]) {
  if (i.swapped) {
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) {
      const T held = a[k];
      a[k] = x[k];
      x[k] = held;
    }
  }
  if (!apply_common(i, a, x, y)) apply_own(i, a, x);
}

/// Offset in elements of the element at linear index `at`.
template <int N>
struct Positions {
  int at[PointwiseParams::kMaxRank][N];

  PEREGRINE_HOST_DEVICE Positions(const PointwiseParams& p, const int (&linear)[N]) {
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) {
      int rest = linear[k];
      PEREGRINE_UNROLL
      for (int d = 0; d < PointwiseParams::kMaxRank; ++d) {
        if (d >= p.rank) break;
        const int next = p.extents[d].divide(rest);
        at[d][k] = rest - next * static_cast<int>(p.extents[d].divisor);
        rest = next;
      }
    }
  }
  PEREGRINE_HOST_DEVICE void offsets(const PointwiseParams& p,
                                     const PointwiseParams::StridedTensor& tensor,
                                     int (&to)[N]) const {
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) {
      to[k] = 0;
      PEREGRINE_UNROLL
      for (int d = 0; d < PointwiseParams::kMaxRank; ++d) {
        if (d >= p.rank) break;
        to[k] += at[d][k] * tensor.strides[d];
      }
    }
  }
};

/// N elements of one group, contiguous (or repeated) in every tensor. `begin` asks for the first
/// two tensors at once, so that the chain waits for memory once and not at every instruction.
template <int N>
class Groups {
 public:
  PEREGRINE_HOST_DEVICE Groups(const PointwiseParams& p, int group)
      : p_(p), positions_(p, {group * N}) {}
  PEREGRINE_HOST_DEVICE void begin() {
    has_first_ = begin(first_, 0);
    has_second_ = begin(second_, 1);
  }
  template <typename T>
  PEREGRINE_HOST_DEVICE void load(int operand, T (&to)[N]) const {
    const PointwiseParams::StridedTensor& tensor = p_.inputs[operand];
    if constexpr (std::is_floating_point_v<T>) {
      if (operand == 0 && has_first_) return first_.unpack(tensor.dtype, to);
      if (operand == 1 && has_second_) return second_.unpack(tensor.dtype, to);
    }
    if (tensor.strides[0] != 0) return load_pack(to, tensor.data, tensor.dtype, offset(tensor));
    const int at[1] = {offset(tensor)};
    T one[1];
    gather(one, tensor.data, tensor.dtype, at, {true});
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) to[k] = one[0];
  }
  template <typename T>
  PEREGRINE_HOST_DEVICE void store(const T (&from)[N]) const {
    store_pack(p_.output.data, p_.output.dtype, offset(p_.output), from);
  }

 private:
  PEREGRINE_HOST_DEVICE bool begin(EarlyPack<N>& pack, int operand) const {
    const PointwiseParams::StridedTensor& tensor = p_.inputs[operand];
    if (operand >= p_.input_count || p_.integers || tensor.strides[0] != 1 ||
        !EarlyPack<N>::suits(tensor.dtype)) {
      return false;
    }
    pack.load(tensor.data, tensor.dtype, offset(tensor));
    return true;
  }
  PEREGRINE_HOST_DEVICE int offset(const PointwiseParams::StridedTensor& tensor) const {
    int at[1];
    positions_.offsets(p_, tensor, at);
    return at[0];
  }
  const PointwiseParams& p_;
  Positions<1> positions_;
  EarlyPack<N> first_, second_;
  bool has_first_ = false, has_second_ = false;
};

/// N elements `stride` apart in the linear order, anywhere in memory; those past the end idle.
template <int N>
class Scattered {
 public:
  PEREGRINE_HOST_DEVICE Scattered(const PointwiseParams& p, const int (&linear)[N])
      : p_(p), positions_(p, linear) {
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) valid_[k] = linear[k] < p.count;
  }
  PEREGRINE_HOST_DEVICE void begin() {}
  template <typename T>
  PEREGRINE_HOST_DEVICE void load(int operand, T (&to)[N]) const {
    const PointwiseParams::StridedTensor& tensor = p_.inputs[operand];
    int at[N];
    positions_.offsets(p_, tensor, at);
    gather(to, tensor.data, tensor.dtype, at, valid_);
  }
  template <typename T>
  PEREGRINE_HOST_DEVICE void store(const T (&from)[N]) const {
    int at[N];
    positions_.offsets(p_, p_.output, at);
    scatter(p_.output.data, p_.output.dtype, at, valid_, from);
  }

 private:
  const PointwiseParams& p_;
  Positions<N> positions_;
  bool valid_[N];
};

template <typename T, int N, typename Access>
PEREGRINE_HOST_DEVICE void fetch(const Access& access, int operand, T number, T (&to)[N]) {
  if (operand >= 0) return access.load(operand, to);
  PEREGRINE_UNROLL
  for (int k = 0; k < N; ++k) to[k] = number;
}

/// Runs the chain for N elements.
template <typename T, int N, typename Access>
PEREGRINE_HOST_DEVICE void run(const PointwiseParams& p, Access access) {
  constexpr bool kReal = std::is_floating_point_v<T>;
  T a[N] = {};
  access.begin();
  PEREGRINE_DO_NOT_UNROLL
  for (int step = 0; step < p.instruction_count; ++step) {
    const PointwiseInstruction& i = p.instructions[step];
    T x[N], y[N];
    fetch(access, i.x, kReal ? T(i.x_real) : T(i.x_integer), x);
    if (i.y != PointwiseInstruction::kNothing) {
      fetch(access, i.y, kReal ? T(i.y_real) : T(i.y_integer), y);
    }
    apply(i, a, x, y);
  }
  access.store(a);
}

}  // namespace pointwise
}  // namespace peregrine::cuda
