// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/activation.h"
#include "model/graph.h"

namespace peregrine::cuda {

/// The epilogue's activation as kernels take it: all that `compiler::is_activation` fuses. Throws
/// `Error(kModelUnsupported)` for another op.
ActivationParams activation_params(const model::Epilogue& epilogue);

inline bool residual_first(const model::Epilogue& epilogue) {
  return epilogue.residual == model::Epilogue::Residual::kBeforeActivation;
}

}  // namespace peregrine::cuda
