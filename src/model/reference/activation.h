// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/graph.h"

namespace peregrine::model::reference {

/// The constants of an elementwise function of one input, ONNX's defaults filled in.
struct ActivationParameters {
  /// Elu, Celu, LeakyRelu, ThresholdedRelu, HardSigmoid, Selu, Silu; Shrink's lambd; Clip's minimum
  float alpha = 1;
  float beta = 0;  ///< HardSigmoid's beta, Selu's gamma, Shrink's bias, Clip's maximum
  bool tanh_gelu = false;
  bool detect_negative = true, detect_positive = true;  ///< IsInf
};
ActivationParameters activation_parameters(Op op, const Attributes& attributes);
float activate(Op op, const ActivationParameters& parameters, float x);

}  // namespace peregrine::model::reference
