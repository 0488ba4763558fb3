// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/epilogue.h"

#include "peregrine/error.h"

namespace peregrine::cuda {

using model::Op;

ActivationParams activation_params(const model::Epilogue& epilogue) {
  const model::Attributes& a = epilogue.activation_attributes;
  switch (epilogue.activation) {
    case Op::kIdentity: return {};
    case Op::kRelu: return {Activation::kRelu};
    case Op::kSilu: {
      const float alpha = a.get_float("alpha", 1.0F);
      if (alpha == 1.0F) return {Activation::kSilu};
      return {Activation::kScaledSilu, alpha};
    }
    case Op::kSigmoid: return {Activation::kSigmoid};
    case Op::kTanh: return {Activation::kTanh};
    case Op::kGelu:
      return {a.get_string("approximate", "none") == "tanh" ? Activation::kGeluTanh
                                                            : Activation::kGelu};
    case Op::kHardSwish: return {Activation::kHardSwish};
    case Op::kHardSigmoid:
      return {Activation::kHardSigmoid, a.get_float("alpha", 0.2F), a.get_float("beta", 0.5F)};
    case Op::kLeakyRelu: return {Activation::kLeakyRelu, a.get_float("alpha", 0.01F)};
    case Op::kElu: return {Activation::kElu, a.get_float("alpha", 1.0F)};
    case Op::kMish: return {Activation::kMish};
    case Op::kSoftplus: return {Activation::kSoftplus};
    case Op::kClip:
      return {Activation::kClip, a.get_float("alpha", 0.0F), a.get_float("beta", 0.0F)};
    default:
      throw Error(ErrorCode::kModelUnsupported, std::string("no kernel ends with the activation ") +
                                                    to_string(epilogue.activation));
  }
}

}  // namespace peregrine::cuda
