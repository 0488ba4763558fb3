// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_fp16.h>

#include "engine/cuda/kernels/host_device.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

/// Sixteen bytes that move together.
struct alignas(16) Bytes16 {
  std::uint32_t words[4];
};

template <typename T>
PEREGRINE_HOST_DEVICE float to_float(T value) {
  return static_cast<float>(value);
}
template <>
PEREGRINE_HOST_DEVICE float to_float(__half value) {
  return __half2float(value);
}
template <typename T>
PEREGRINE_HOST_DEVICE T from_float(float value) {
  return static_cast<T>(value);
}
template <>
PEREGRINE_HOST_DEVICE __half from_float(float value) {
  return __float2half_rn(value);
}

/// An entry of an index tensor.
PEREGRINE_HOST_DEVICE std::int64_t load_index(const void* data, int at, bool wide) {
  return wide ? static_cast<const std::int64_t*>(data)[at]
              : static_cast<const std::int32_t*>(data)[at];
}

/// Calls `f` with a null pointer to the unsigned type (or `Bytes16`) of so many bytes.
template <typename F>
decltype(auto) with_unit(std::size_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f(static_cast<std::uint8_t*>(nullptr));
    case 2: return f(static_cast<std::uint16_t*>(nullptr));
    case 4: return f(static_cast<std::uint32_t*>(nullptr));
    case 8: return f(static_cast<std::uint64_t*>(nullptr));
    default: return f(static_cast<Bytes16*>(nullptr));
  }
}

}  // namespace peregrine::cuda
