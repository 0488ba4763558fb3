// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/element.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

/// QuantizeLinear and DequantizeLinear, by one scale and zero point for all or one a slice.
struct QuantizeParams {
  const void* input = nullptr;
  void* output = nullptr;
  const float* scales = nullptr;
  const float* zeros = nullptr;
  DType input_dtype = DType::kFloat32;
  DType output_dtype = DType::kUint8;
  Walk<3> walk;  ///< output, input, slice
};

/// Rounds half to even and saturates.
template <typename In, typename Out>
struct QuantizeBody {
  using Params = QuantizeParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[3];
    p.walk.offsets(index, at);
    constexpr auto low = static_cast<float>(std::numeric_limits<Out>::min());
    constexpr auto high = static_cast<float>(std::numeric_limits<Out>::max());
    const float value = converted<float>(static_cast<const In*>(p.input)[at[1]]);
    const float level = rintf(value / p.scales[at[2]]) + p.zeros[at[2]];
    // Written so that what is no number becomes 0.
    const float inside = level < low ? low : level > high ? high : level == level ? level : 0;
    static_cast<Out*>(p.output)[at[0]] = static_cast<Out>(inside);
  }
};

template <typename In, typename Out>
struct DequantizeBody {
  using Params = QuantizeParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[3];
    p.walk.offsets(index, at);
    const float level = converted<float>(static_cast<const In*>(p.input)[at[1]]);
    static_cast<Out*>(p.output)[at[0]] = converted<Out>((level - p.zeros[at[2]]) * p.scales[at[2]]);
  }
};

/// From float32 or float16 to integers of 8 or 16 bits, or from those or int32 to floats.
void launch_quantize(const QuantizeParams& params, bool overlapped, cudaStream_t stream);

/// Calls `f` with a null pointer of an integer type that quantized tensors have.
template <typename F>
void with_level_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kInt8: return f(static_cast<std::int8_t*>(nullptr));
    case DType::kInt16: return f(static_cast<std::int16_t*>(nullptr));
    case DType::kUint16: return f(static_cast<std::uint16_t*>(nullptr));
    case DType::kInt32: return f(static_cast<std::int32_t*>(nullptr));
    default: return f(static_cast<std::uint8_t*>(nullptr));
  }
}
template <typename F>
void with_body(const QuantizeParams& p, F&& f) {
  if (p.input_dtype == DType::kFloat32 || p.input_dtype == DType::kFloat16) {
    return with_level_type(p.output_dtype, [&]<typename Level>(Level*) {
      if constexpr (sizeof(Level) < 4) {
        if (p.input_dtype == DType::kFloat16) return f(QuantizeBody<__half, Level>{});
        f(QuantizeBody<float, Level>{});
      }
    });
  }
  with_level_type(p.input_dtype, [&]<typename Level>(Level*) {
    if (p.output_dtype == DType::kFloat16) return f(DequantizeBody<Level, __half>{});
    f(DequantizeBody<Level, float>{});
  });
}

}  // namespace peregrine::cuda
