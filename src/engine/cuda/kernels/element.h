// SPDX-License-Identifier: Apache-2.0
// Elements of any dtype, read and written as what kernels compute in: float or int64.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "core/host_device.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// ONNX's Cast of a float: towards zero, NaN gives 0, what does not fit the nearest that does.
template <typename Float>
PEREGRINE_HOST_DEVICE std::int64_t truncated(Float x) {
  if (x != x) return 0;
  if (x >= Float(0x1p63)) return std::numeric_limits<std::int64_t>::max();
  if (x < Float(-0x1p63)) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(x);
}

/// To: float, int64 or a storage type; From likewise. Floats become integers through 64 bits, so
/// that narrower ones wrap.
template <typename To, typename From>
PEREGRINE_HOST_DEVICE To converted(From from) {
  constexpr bool kHalf = std::is_same_v<From, __half>, kToHalf = std::is_same_v<To, __half>;
  constexpr bool kBFloat = std::is_same_v<From, __nv_bfloat16>;
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (kHalf) {
    return converted<To>(__half2float(from));
  } else if constexpr (kBFloat) {
    return converted<To>(__bfloat162float(from));
  } else if constexpr (kToHalf) {
    return __float2half_rn(static_cast<float>(from));
  } else if constexpr (std::is_same_v<To, __nv_bfloat16>) {
    return __float2bfloat16_rn(static_cast<float>(from));
  } else if constexpr (std::is_same_v<To, bool>) {
    return from != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return static_cast<To>(truncated(from));
  } else {
    return static_cast<To>(from);
  }
}

/// Calls `f` with a null pointer of the dtype's storage type.
template <typename F>
PEREGRINE_HOST_DEVICE void with_element_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32: return f(static_cast<float*>(nullptr));
    case DType::kFloat16: return f(static_cast<__half*>(nullptr));
    case DType::kBFloat16: return f(static_cast<__nv_bfloat16*>(nullptr));
    case DType::kFloat64: return f(static_cast<double*>(nullptr));
    case DType::kInt8: return f(static_cast<std::int8_t*>(nullptr));
    case DType::kInt16: return f(static_cast<std::int16_t*>(nullptr));
    case DType::kInt32: return f(static_cast<std::int32_t*>(nullptr));
    case DType::kInt64: return f(static_cast<std::int64_t*>(nullptr));
    case DType::kUint8: return f(static_cast<std::uint8_t*>(nullptr));
    case DType::kUint16: return f(static_cast<std::uint16_t*>(nullptr));
    case DType::kUint32: return f(static_cast<std::uint32_t*>(nullptr));
    case DType::kUint64: return f(static_cast<std::uint64_t*>(nullptr));
    case DType::kBool: return f(static_cast<bool*>(nullptr));
  }
}

template <typename To>
PEREGRINE_HOST_DEVICE_CALL To load_any(const void* base, DType dtype, std::int64_t at) {
  To value{};
  with_element_type(dtype, [&]<typename From>(From*) {
    value = converted<To>(static_cast<const From*>(base)[at]);
  });
  return value;
}
template <typename From>
PEREGRINE_HOST_DEVICE_CALL void store_any(void* base, DType dtype, std::int64_t at, From value) {
  with_element_type(dtype,
                    [&]<typename To>(To*) { static_cast<To*>(base)[at] = converted<To>(value); });
}

/// N consecutive elements, moved in accesses of up to 16 bytes: addresses are multiples of those.
template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T values[N];
};

/// The dtypes activations have; all others take the slow way.
template <typename F>
PEREGRINE_HOST_DEVICE bool with_common_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32: f(static_cast<float*>(nullptr)); return true;
    case DType::kFloat16: f(static_cast<__half*>(nullptr)); return true;
    case DType::kInt64: f(static_cast<std::int64_t*>(nullptr)); return true;
    case DType::kInt32: f(static_cast<std::int32_t*>(nullptr)); return true;
    case DType::kUint8:
    case DType::kBool: f(static_cast<std::uint8_t*>(nullptr)); return true;
    default: return false;
  }
}

/// N consecutive elements from `at`.
template <typename To, int N>
PEREGRINE_HOST_DEVICE void load_pack(To (&to)[N], const void* base, DType dtype, int at) {
  const bool common = with_common_type(dtype, [&]<typename From>(From*) {
    const auto pack = *reinterpret_cast<const Pack<From, N>*>(static_cast<const From*>(base) + at);
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) to[k] = converted<To>(pack.values[k]);
  });
  if (common) return;
  PEREGRINE_UNROLL
  for (int k = 0; k < N; ++k) to[k] = load_any<To>(base, dtype, at + k);
}
template <typename From, int N>
PEREGRINE_HOST_DEVICE void store_pack(void* base, DType dtype, int at, const From (&from)[N]) {
  const auto put = [&]<typename To>(To*, auto convert) {
    Pack<To, N> pack;
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) pack.values[k] = convert(from[k]);
    *reinterpret_cast<Pack<To, N>*>(static_cast<To*>(base) + at) = pack;
  };
  if (dtype == DType::kBool) {
    return put(static_cast<std::uint8_t*>(nullptr),
               [](From x) { return static_cast<std::uint8_t>(x != From(0)); });
  }
  const bool common = with_common_type(
      dtype, [&]<typename To>(To* type) { put(type, [](From x) { return converted<To>(x); }); });
  if (common) return;
  PEREGRINE_UNROLL
  for (int k = 0; k < N; ++k) store_any(base, dtype, at + k, from[k]);
}

/// N consecutive floats as they lie in memory: asked for early, converted where they are needed, so
/// that several loads are under way at once. Addresses as for `Pack`.
template <int N>
struct EarlyPack {
  std::uint32_t words[N];

  PEREGRINE_HOST_DEVICE static bool suits(DType dtype) {
    return dtype == DType::kFloat32 || dtype == DType::kFloat16;
  }
  PEREGRINE_HOST_DEVICE void load(const void* base, DType dtype, int at) {
    if (dtype == DType::kFloat32) {
      get<N>(static_cast<const float*>(base) + at);
    } else {
      get<N / 2>(static_cast<const __half*>(base) + at);
    }
  }
  PEREGRINE_HOST_DEVICE void unpack(DType dtype, float (&to)[N]) const {
    const bool whole = dtype == DType::kFloat32;
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) {
      __half_raw half;
      half.x = static_cast<std::uint16_t>(words[k / 2] >> (k % 2 * 16));
      to[k] = whole ? std::bit_cast<float>(words[k]) : __half2float(__half(half));
    }
  }

 private:
  template <int Words>
  PEREGRINE_HOST_DEVICE void get(const void* from) {
    const auto pack = *static_cast<const Pack<std::uint32_t, Words>*>(from);
    PEREGRINE_UNROLL
    for (int k = 0; k < Words; ++k) words[k] = pack.values[k];
  }
};

/// N elements at offsets of their own.
template <typename To, int N>
PEREGRINE_HOST_DEVICE void gather(To (&to)[N], const void* base, DType dtype, const int (&at)[N],
                                  const bool (&valid)[N]) {
  const bool common = with_common_type(dtype, [&]<typename From>(From*) {
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) {
      to[k] = valid[k] ? converted<To>(static_cast<const From*>(base)[at[k]]) : To(0);
    }
  });
  if (common) return;
  PEREGRINE_UNROLL
  for (int k = 0; k < N; ++k) to[k] = valid[k] ? load_any<To>(base, dtype, at[k]) : To(0);
}
template <typename From, int N>
PEREGRINE_HOST_DEVICE void scatter(void* base, DType dtype, const int (&at)[N],
                                   const bool (&valid)[N], const From (&from)[N]) {
  if (dtype == DType::kFloat32 || dtype == DType::kFloat16) {
    PEREGRINE_UNROLL
    for (int k = 0; k < N; ++k) {
      if (!valid[k]) continue;
      if (dtype == DType::kFloat32) {
        static_cast<float*>(base)[at[k]] = converted<float>(from[k]);
      } else {
        static_cast<__half*>(base)[at[k]] = converted<__half>(from[k]);
      }
    }
    return;
  }
  PEREGRINE_UNROLL
  for (int k = 0; k < N; ++k) {
    if (valid[k]) store_any(base, dtype, at[k], from[k]);
  }
}

}  // namespace peregrine::cuda
