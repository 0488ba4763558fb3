// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/activation.h"

namespace peregrine::cuda {

__device__ __forceinline__ float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 + e^-x, at most 2^60 so that the product of two is still finite.
__device__ __forceinline__ float sigmoid_denominator(float x) {
  return 1.0f + fast_exp2(fminf(x * -1.44269504f, 60.0f));
}
/// Relative error about 1e-6, far below FP16's.
__device__ __forceinline__ float sigmoid(float x) {
  return fast_reciprocal(sigmoid_denominator(x));
}
/// Two at once: 1/a and 1/b from one reciprocal of a*b. Special functions run at an eighth of the
/// rate of additions, so in a memory-bound convolution they are what shows.
__device__ __forceinline__ void sigmoid(float x, float y, float& sigmoid_x, float& sigmoid_y) {
  const float a = sigmoid_denominator(x), b = sigmoid_denominator(y);
  const float both = fast_reciprocal(a * b);
  sigmoid_x = both * b;
  sigmoid_y = both * a;
}

namespace detail {
template <int N, typename Function>
__device__ __forceinline__ void map(float (&x)[N], Function&& function) {
#pragma unroll
  for (int i = 0; i < N; ++i) x[i] = function(x[i]);
}
}  // namespace detail

/// Applies one activation to N values. The switch stands outside the loop: a branch for every value
/// costs more than the values (it made whole convolutions three times slower).
template <int N>
__device__ __forceinline__ void activate(float (&x)[N], const ActivationParams& a) {
  using detail::map;
  switch (a.kind) {
    case Activation::kNone: return;
    case Activation::kRelu: return map(x, [](float v) { return fmaxf(v, 0.0f); });
    case Activation::kSilu:
      if constexpr (N % 2 == 0) {
#pragma unroll
        for (int i = 0; i < N; i += 2) {
          float first, second;
          sigmoid(x[i], x[i + 1], first, second);
          x[i] *= first;
          x[i + 1] *= second;
        }
        return;
      } else {
        return map(x, [](float v) { return v * sigmoid(v); });
      }
    case Activation::kScaledSilu: return map(x, [&](float v) { return v * sigmoid(a.alpha * v); });
    case Activation::kSigmoid: return map(x, [](float v) { return sigmoid(v); });
    case Activation::kTanh: return map(x, [](float v) { return tanhf(v); });
    case Activation::kGelu:
      return map(x, [](float v) { return 0.5f * v * (1.0f + erff(v * 0.70710678f)); });
    case Activation::kGeluTanh:
      return map(x, [](float v) {
        return 0.5f * v * (1.0f + tanhf(0.79788456f * (v + 0.044715f * v * v * v)));
      });
    case Activation::kHardSwish:
      return map(x, [](float v) { return v * __saturatef(v * (1.0f / 6.0f) + 0.5f); });
    case Activation::kHardSigmoid:
      return map(x, [&](float v) { return __saturatef(a.alpha * v + a.beta); });
    case Activation::kLeakyRelu: return map(x, [&](float v) { return v < 0 ? a.alpha * v : v; });
    case Activation::kElu: return map(x, [&](float v) { return v < 0 ? a.alpha * expm1f(v) : v; });
    case Activation::kMish:
      return map(x, [](float v) { return v * tanhf(v > 20.0f ? v : log1pf(__expf(v))); });
    case Activation::kSoftplus:
      return map(x, [](float v) { return v > 20.0f ? v : log1pf(__expf(v)); });
    case Activation::kClip:
      return map(x, [&](float v) { return fminf(fmaxf(v, a.alpha), a.beta); });
  }
}

}  // namespace peregrine::cuda
