// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

namespace peregrine::vision {

/// Range of the finite values of a part of a map; `low > high` where there is none.
struct DepthRange {
  float low = 0, high = 0;
};
/// Maps are looked at in so many parts each.
constexpr int kDepthParts = 32;

/// Ranges of maps [pictures, cells], `kDepthParts` a picture. Throws `Error(kGpu)`.
void launch_depth_ranges(const float* maps, int cells, DepthRange* ranges, int pictures,
                         cudaStream_t stream);

}  // namespace peregrine::vision
