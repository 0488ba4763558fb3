// SPDX-License-Identifier: Apache-2.0
// ScatterElements and ScatterND into a copy of the data that the output already holds.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/gather.h"

namespace peregrine::cuda {

enum class Reduction : std::int8_t { kNone, kAdd, kMul, kMax, kMin };

/// Updates that name the same element are applied in their order, by one thread: the first of them
/// gathers all later ones (for kNone, the last one alone writes). So results are those of a plain
/// loop, bit by bit, run after run, at the price of each thread reading the indices of all
/// positions that its own may meet. Where indices are constants, the lowering sees that they are
/// distinct and nothing is searched.
struct ScatterParams {
  const void* updates = nullptr;
  void* output = nullptr;
  IndexTuple indices;
  Walk<4> walk;  ///< updates, output without the indexed axes, indices, order in the group
  DType dtype = DType::kFloat32;
  Reduction reduction = Reduction::kNone;
  std::int32_t group = 0;  ///< positions that may name the same element; 0: none do
  std::int32_t group_index_stride = 0, group_update_stride = 0;
};

/// FP16 is reduced in FP32 and rounded once.
template <typename T, typename Sum>
struct ScatterBody {
  using Params = ScatterParams;

  static PEREGRINE_HOST_DEVICE Sum merge(Reduction reduction, Sum a, Sum b) {
    switch (reduction) {
      case Reduction::kAdd: return a + b;
      case Reduction::kMul: return a * b;
      case Reduction::kMax: return a < b ? b : a;
      case Reduction::kMin: return b < a ? b : a;
      default: return b;
    }
  }
  static PEREGRINE_HOST_DEVICE Sum widen(T value) {
    if constexpr (std::is_same_v<T, Sum>) {
      return value;
    } else {
      return converted<float>(value);
    }
  }
  static PEREGRINE_HOST_DEVICE T narrow(Sum value) {
    if constexpr (std::is_same_v<T, Sum>) {
      return value;
    } else {
      return converted<T>(value);
    }
  }
  /// Where position `k` of this thread's group goes; -1 when its indices name no element.
  static PEREGRINE_HOST_DEVICE bool target(const Params& p, int index_at, std::int32_t& offset) {
    bool inside = true;
    offset = p.indices.offset(index_at, inside);
    return inside;
  }

  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[4];
    p.walk.offsets(index, at);
    std::int32_t own = 0, other = 0;
    if (!target(p, at[2], own)) return;
    const T* updates = static_cast<const T*>(p.updates);
    T* to = static_cast<T*>(p.output) + at[1] + own;
    const int order = at[3];
    if (p.reduction == Reduction::kNone) {
      for (int k = order + 1; k < p.group; ++k) {
        const int index_at = at[2] + (k - order) * p.group_index_stride;
        if (target(p, index_at, other) && other == own) return;
      }
      *to = updates[at[0]];
      return;
    }
    for (int k = 0; k < order && p.group > 0; ++k) {
      const int index_at = at[2] + (k - order) * p.group_index_stride;
      if (target(p, index_at, other) && other == own) return;
    }
    Sum sum = merge(p.reduction, widen(*to), widen(updates[at[0]]));
    for (int k = order + 1; k < p.group; ++k) {
      const int index_at = at[2] + (k - order) * p.group_index_stride;
      if (!target(p, index_at, other) || other != own) continue;
      sum = merge(p.reduction, sum, widen(updates[at[0] + (k - order) * p.group_update_stride]));
    }
    *to = narrow(sum);
  }
};

void launch_scatter(const ScatterParams& params, bool overlapped, cudaStream_t stream);

/// dtype is one of those that lower_scatter lets through.
template <typename F>
void with_body(const ScatterParams& p, F&& f) {
  switch (p.dtype) {
    case DType::kFloat16: return f(ScatterBody<__half, float>{});
    case DType::kFloat32: return f(ScatterBody<float, float>{});
    case DType::kInt32: return f(ScatterBody<std::int32_t, std::int32_t>{});
    case DType::kInt64: return f(ScatterBody<std::int64_t, std::int64_t>{});
    default: return f(ScatterBody<std::uint8_t, std::uint8_t>{});
  }
}

}  // namespace peregrine::cuda
