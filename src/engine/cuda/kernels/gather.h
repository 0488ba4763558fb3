// SPDX-License-Identifier: Apache-2.0
// Gather, GatherElements and GatherND: every result position reads a tuple of indices (of one entry
// but for GatherND), which says where in the data it comes from.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/unit.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

/// How a tuple of indices becomes an offset.
struct IndexTuple {
  static constexpr int kMaxDepth = 8;
  const void* data = nullptr;
  bool wide = true;               ///< int64, else int32
  std::int32_t depth = 1;         ///< entries of a tuple
  std::int32_t entry_stride = 0;  ///< between them
  std::int32_t extent[kMaxDepth] = {};
  std::int32_t stride[kMaxDepth] = {};  ///< of the indexed axes

  /// Offset for the tuple at `at`. -1 entries count from the end; one outside its axis sets
  /// `inside` to false and counts as the nearest inside (the contents are not known when a plan is
  /// built, and a kernel cannot throw).
  PEREGRINE_HOST_DEVICE std::int32_t offset(int at, bool& inside) const {
    std::int32_t sum = 0;
    for (int k = 0; k < depth; ++k) {
      const std::int64_t last = extent[k] - 1;
      std::int64_t entry = load_index(data, at + k * entry_stride, wide);
      if (entry < 0) entry += extent[k];
      if (entry < 0 || entry > last) {
        inside = false;
        entry = entry < 0 ? 0 : last;
      }
      sum += static_cast<std::int32_t>(entry) * stride[k];
    }
    return sum;
  }
  PEREGRINE_HOST_DEVICE bool is_absent(int at) const { return load_index(data, at, wide) < 0; }
};

struct GatherParams {
  const void* data = nullptr;
  void* output = nullptr;
  IndexTuple indices;
  Walk<3> walk;  ///< output, data, indices
  int unit_bytes = 4;
  bool absent_rows = false;  ///< an index of -1 gives zeros (see model/absent_rows.h)
};

template <typename Unit>
struct GatherBody {
  using Params = GatherParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[3];
    p.walk.offsets(index, at);
    if (p.absent_rows && p.indices.is_absent(at[2])) {
      static_cast<Unit*>(p.output)[at[0]] = Unit{};
      return;
    }
    bool inside = true;
    const std::int32_t from = at[1] + p.indices.offset(at[2], inside);
    static_cast<Unit*>(p.output)[at[0]] = static_cast<const Unit*>(p.data)[from];
  }
};

/// Takes 16 bytes a thread where contiguous runs allow it. `params` has addresses and counts
/// elements of `unit_bytes`.
GatherParams widened(GatherParams params);
void launch_gather(const GatherParams& params, bool overlapped, cudaStream_t stream);

template <typename F>
void with_body(const GatherParams& p, F&& f) {
  with_unit(p.unit_bytes, [&]<typename Unit>(Unit*) { f(GatherBody<Unit>{}); });
}

}  // namespace peregrine::cuda
