// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "engine/cuda/kernels/attention.h"

namespace peregrine::cuda {

/// What the warps of a block share out among themselves.
enum class AttentionKind {
  kRows,        ///< mma.sync: queries
  kKeys,        ///< mma.sync: keys of the same queries
  kWarpgroups,  ///< wgmma (sm_90a): queries by row groups, keys by streams
};

/// A compiled tile shape for heads of up to some widths; narrower ones are padded with zeros in
/// shared memory.
struct AttentionKernel {
  const char* name = "";  ///< "attention QUERIESxKEYS UNIT", the same for all widths
  int query_width = 0, value_width = 0;
  int queries = 0;  ///< of a block
  int keys = 0;     ///< of a block's step
  int threads = 0;
  int shared_bytes = 0;
  AttentionKind kind = AttentionKind::kRows;
  const void* plain = nullptr;   ///< softmax of scaled products, nothing else
  const void* masked = nullptr;  ///< the rest; null where only `plain` exists
};

/// Runs on every device, for all that `attention_supports`.
inline constexpr const char* kAnyAttention = "attention 64x64 mma";

/// All of them; those of a name follow each other by rising widths.
const std::vector<AttentionKernel>& attention_kernels();

/// The kernel of that name for these parameters: the narrowest that holds the heads. Null where
/// there is none.
const AttentionKernel* find_attention_kernel(std::string_view name, const AttentionParams& params);

void launch_attention(const AttentionKernel& kernel, const AttentionParams& params, bool overlapped,
                      cudaStream_t stream);

// One source file each.
std::vector<AttentionKernel> row_attention_kernels();
std::vector<AttentionKernel> key_attention_kernels();
std::vector<AttentionKernel> warpgroup_attention_kernels_32();
std::vector<AttentionKernel> warpgroup_attention_kernels_32_64();
std::vector<AttentionKernel> warpgroup_attention_kernels_64();

}  // namespace peregrine::cuda
