// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_fp16.h>

#include "engine/cuda/kernels/attention.h"

namespace peregrine::cuda {

/// Score of query `row` and key `column` in natural units, after cap, mask and causality.
__device__ __forceinline__ float masked_score(const AttentionParams& p, std::int64_t mask, int row,
                                              int column, float score) {
  const AttentionMask& m = p.mask;
  if (m.kind != AttentionMask::Kind::kNone && row < p.queries && column < p.keys) {
    const std::int64_t at = mask + row * m.stride[2] + column * m.stride[3];
    float added = 0;
    switch (m.kind) {
      case AttentionMask::Kind::kHalf:
        added = __half2float(static_cast<const __half*>(m.data)[at]);
        break;
      case AttentionMask::Kind::kFloat: added = static_cast<const float*>(m.data)[at]; break;
      default: added = static_cast<const unsigned char*>(m.data)[at] != 0 ? 0.0f : -INFINITY;
    }
    score += added;
    // The lowest float as a mask is not "never": a row of nothing else has equal weights. Past
    // this, the change of base would make it infinite.
    if (added != -INFINITY) score = fmaxf(score, -1e38f);
  }
  if (p.causal && column > row + p.past) score = -INFINITY;
  // tanh by its definition: tanhf, inlined for each of a thread's 32 scores, is most of a kernel.
  if (p.softcap > 0) {
    score = p.softcap * (1.0f - __fdividef(2.0f, 1.0f + __expf(2.0f * score / p.softcap)));
  }
  return score;
}

}  // namespace peregrine::cuda
