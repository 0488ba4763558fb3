// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention_mma.cuh"

namespace peregrine::cuda {

// Four warps of different queries: any device, any mask.
std::vector<AttentionKernel> row_attention_kernels() {
  return {
      make_mma_attention<MmaAttention<32, 32, 4, 1, 64>>(kAnyAttention),
      make_mma_attention<MmaAttention<32, 64, 4, 1, 64>>(kAnyAttention),
      make_mma_attention<MmaAttention<64, 64, 4, 1, 64>>(kAnyAttention),
      make_mma_attention<MmaAttention<128, 128, 4, 1, 64>>(kAnyAttention),
  };
}

}  // namespace peregrine::cuda
