// SPDX-License-Identifier: Apache-2.0
// What convolutions and pools have in common.
#pragma once

#include "engine/cuda/checks/checked_step.h"

namespace peregrine::cuda {

/// The window of a convolution or pool: positions that a kernel works out fit its integers.
struct CheckedWindow {
  model::Ints kernel;
  std::int64_t taps = 1;
};
CheckedWindow check_window(const CheckedStep& step, const compiler::Operand& x,
                           const compiler::Operand& y);

/// [batch, channels, y, x] of FP16, channels in eights and everything at multiples of 16 bytes.
void require_half_picture(const CheckedStep& step, const compiler::Operand& picture);

}  // namespace peregrine::cuda
