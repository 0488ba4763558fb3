// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention_warpgroup.cuh"

namespace peregrine::cuda {

// Row groups, streams of keys.
std::vector<AttentionKernel> warpgroup_attention_kernels_64() {
  return {
      make_warpgroup_attention<64, 64, 1, 4>("attention 64x256 wg"),
      make_warpgroup_attention<64, 64, 2, 2>("attention 128x128 wg"),
      make_warpgroup_attention<64, 64, 2, 1>("attention 128x64 wg"),
  };
}

}  // namespace peregrine::cuda
