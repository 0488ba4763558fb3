// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/walk.h"

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::cuda {

void check_walkable(const LoopNest& nest, std::span<const std::int64_t> shape, int limit) {
  if (!nest.fits_int()) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("a tensor of {} spans 2^31 elements or more; use a smaller batch",
                            to_string(shape)));
  }
  if (nest.rank() > limit) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("a tensor of {} has more than {} separate dimensions", to_string(shape),
                            limit));
  }
}

}  // namespace peregrine::cuda
