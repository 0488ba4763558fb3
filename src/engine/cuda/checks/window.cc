// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/checks/window.h"

#include "engine/cuda/ops/operands.h"

namespace peregrine::cuda {

using compiler::Operand;

CheckedWindow check_window(const CheckedStep& step, const Operand& x, const Operand& y) {
  step.require_rank(y, x.rank(), x.rank());
  const auto axes = static_cast<std::size_t>(x.rank() - 2);
  CheckedWindow window{step.numbers("kernel", axes, 1)};
  const model::Ints stride = step.numbers("strides", axes, 1);
  const model::Ints pad = step.numbers("pads", axes, -CheckedStep::kMost);
  const model::Ints dilation = step.numbers("dilations", axes, 1);
  for (std::size_t i = 0; i < axes; ++i) {
    step.require(x.shape[2 + i] <= CheckedStep::kMost && y.shape[2 + i] <= CheckedStep::kMost &&
                     y.shape[2 + i] * stride[i] - pad[i] + window.kernel[i] * dilation[i] <=
                         CheckedStep::kMost,
                 "its window is too large");
    window.taps *= window.kernel[i];  // each below 2^31, and so is what they were multiplied to
    step.require(window.taps <= CheckedStep::kMost, "its window is too large");
  }
  step.require(x.shape[0] == y.shape[0], "its result has another batch");
  return window;
}

void require_half_picture(const CheckedStep& step, const Operand& picture) {
  step.require_rank(picture, 4, 4);
  step.require(is_tile_picture(picture), "a picture is not FP16 with channels in eights");
}

}  // namespace peregrine::cuda
