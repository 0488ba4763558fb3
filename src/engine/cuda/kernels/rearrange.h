// SPDX-License-Identifier: Apache-2.0
// Kernels that move elements by rules which strides alone cannot say.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/unit.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

/// Pad, CenterCropPad, Resize to the nearest: up to four axes read through a table of input
/// positions, where -1 stands for `fill`; the others as they are.
struct RemapParams {
  static constexpr int kMaxTables = 4;
  const void* input = nullptr;
  void* output = nullptr;
  const std::int32_t* tables = nullptr;
  std::int32_t table_start[kMaxTables] = {};  ///< of each axis in `tables`
  std::int32_t stride[kMaxTables] = {};       ///< of those axes in the input
  std::int32_t table_count = 0;
  Bytes16 fill = {};          ///< the element, repeated
  Walk<2 + kMaxTables> walk;  ///< output, input without the table axes, position on each
  int unit_bytes = 4;
};

template <typename Unit>
struct RemapBody {
  using Params = RemapParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[2 + RemapParams::kMaxTables];
    p.walk.offsets(index, at);
    int from = at[1];
    bool filled = false;
    PEREGRINE_UNROLL
    for (int k = 0; k < RemapParams::kMaxTables; ++k) {
      if (k >= p.table_count) break;
      const int position = p.tables[p.table_start[k] + at[2 + k]];
      filled = filled || position < 0;
      from += position * p.stride[k];
    }
    Unit value;
    if (filled) {
      __builtin_memcpy(&value, &p.fill, sizeof(value));
    } else {
      value = static_cast<const Unit*>(p.input)[from];
    }
    static_cast<Unit*>(p.output)[at[0]] = value;
  }
};

/// Trilu: keeps elements whose column minus row is at least (`upper`) or at most `diagonal`.
struct TriluParams {
  const void* input = nullptr;
  void* output = nullptr;
  std::int32_t diagonal = 0;
  bool upper = true;
  Walk<3> walk;  ///< output, input, column minus row
  int unit_bytes = 4;
};

template <typename Unit>
struct TriluBody {
  using Params = TriluParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[3];
    p.walk.offsets(index, at);
    const bool kept = p.upper ? at[2] >= p.diagonal : at[2] <= p.diagonal;
    Unit value{};
    if (kept) value = static_cast<const Unit*>(p.input)[at[1]];
    static_cast<Unit*>(p.output)[at[0]] = value;
  }
};

/// ReverseSequence: the first `length` steps of each sequence back to front.
struct ReverseParams {
  const void* input = nullptr;
  const void* lengths = nullptr;
  void* output = nullptr;
  bool wide = true;  ///< lengths are int64, else int32
  std::int32_t steps = 0;
  std::int32_t step_stride = 0;  ///< in the input
  Walk<4> walk;                  ///< output, input without the time axis, lengths, time
  int unit_bytes = 4;
};

template <typename Unit>
struct ReverseBody {
  using Params = ReverseParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[4];
    p.walk.offsets(index, at);
    std::int64_t length = load_index(p.lengths, at[2], p.wide);
    if (length > p.steps) length = p.steps;
    const int step = at[3] < length ? static_cast<int>(length) - 1 - at[3] : at[3];
    static_cast<Unit*>(p.output)[at[0]] =
        static_cast<const Unit*>(p.input)[at[1] + step * p.step_stride];
  }
};

/// OneHot: `values` holds what is off and what is on.
struct OneHotParams {
  const void* indices = nullptr;
  const void* values = nullptr;
  void* output = nullptr;
  DType index_dtype = DType::kInt64;  ///< int64, int32, float32 or float16
  std::int32_t depth = 0;
  std::int32_t value_stride = 1;
  Walk<3> walk;  ///< output, indices, position on the new axis
  int unit_bytes = 4;
};

template <typename Unit>
struct OneHotBody {
  using Params = OneHotParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[3];
    p.walk.offsets(index, at);
    std::int64_t hot = 0;
    switch (p.index_dtype) {
      case DType::kFloat32:
        hot = static_cast<std::int64_t>(static_cast<const float*>(p.indices)[at[1]]);
        break;
      case DType::kFloat16:
        hot = static_cast<std::int64_t>(__half2float(static_cast<const __half*>(p.indices)[at[1]]));
        break;
      default: hot = load_index(p.indices, at[1], p.index_dtype == DType::kInt64); break;
    }
    if (hot < 0) hot += p.depth;
    const int which = hot == at[2] ? p.value_stride : 0;
    static_cast<Unit*>(p.output)[at[0]] = static_cast<const Unit*>(p.values)[which];
  }
};

/// As `widened` of gather.h. `fill` must be repeated over all of its bytes.
RemapParams widened(RemapParams params);
void launch_remap(const RemapParams& params, bool overlapped, cudaStream_t stream);
void launch_trilu(const TriluParams& params, bool overlapped, cudaStream_t stream);
ReverseParams widened(ReverseParams params);
void launch_reverse(const ReverseParams& params, bool overlapped, cudaStream_t stream);
void launch_one_hot(const OneHotParams& params, bool overlapped, cudaStream_t stream);

template <typename F>
void with_body(const RemapParams& p, F&& f) {
  with_unit(p.unit_bytes, [&]<typename Unit>(Unit*) { f(RemapBody<Unit>{}); });
}
template <typename F>
void with_body(const TriluParams& p, F&& f) {
  with_unit(p.unit_bytes, [&]<typename Unit>(Unit*) {
    if constexpr (sizeof(Unit) <= 8) f(TriluBody<Unit>{});
  });
}
template <typename F>
void with_body(const ReverseParams& p, F&& f) {
  with_unit(p.unit_bytes, [&]<typename Unit>(Unit*) { f(ReverseBody<Unit>{}); });
}
template <typename F>
void with_body(const OneHotParams& p, F&& f) {
  with_unit(p.unit_bytes, [&]<typename Unit>(Unit*) {
    if constexpr (sizeof(Unit) <= 8) f(OneHotBody<Unit>{});
  });
}

}  // namespace peregrine::cuda
