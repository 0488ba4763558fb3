// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace peregrine::cuda {

/// What a kernel may apply to its result before it stores it, in FP32.
enum class Activation : std::int8_t {
  kNone,
  kRelu,
  kSilu,
  kScaledSilu,  ///< x * sigmoid(alpha * x); CLIP's "quick GELU" is 1.702
  kSigmoid,
  kTanh,
  kGelu,         ///< x * Phi(x), by erf
  kGeluTanh,     ///< its tanh approximation
  kHardSwish,    ///< x * clamp(x / 6 + 1/2, 0, 1)
  kHardSigmoid,  ///< clamp(alpha * x + beta, 0, 1)
  kLeakyRelu,    ///< x < 0 ? alpha * x : x
  kElu,          ///< x < 0 ? alpha * (exp(x) - 1) : x
  kMish,         ///< x * tanh(softplus(x))
  kSoftplus,
  kClip,  ///< clamp(x, alpha, beta); ReLU6 is 0, 6
};

/// An activation and its two numbers, as kernels take it.
struct ActivationParams {
  Activation kind = Activation::kNone;
  float alpha = 0;
  float beta = 0;
};

}  // namespace peregrine::cuda
