// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention_mma.cuh"

namespace peregrine::cuda {

// Eight warps of the same queries and different keys: for grids that would not fill the device.
std::vector<AttentionKernel> key_attention_kernels() {
  constexpr const char* kName = "attention 16x256 mma";
  return {
      make_mma_attention<MmaAttention<32, 32, 1, 8, 32>>(kName),
      make_mma_attention<MmaAttention<32, 64, 1, 8, 32>>(kName),
      make_mma_attention<MmaAttention<64, 64, 1, 8, 32>>(kName),
  };
}

}  // namespace peregrine::cuda
