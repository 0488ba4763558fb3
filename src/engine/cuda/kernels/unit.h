// SPDX-License-Identifier: Apache-2.0
// Elements that only move: bytes of their size, or several of them at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cuda/kernels/element.h"

namespace peregrine::cuda {

/// Sixteen bytes that move together.
struct alignas(16) Bytes16 {
  std::uint32_t words[4];
};

/// Calls `f` with a null pointer to the unsigned type (or `Bytes16`) of so many bytes.
template <typename F>
void with_unit(int bytes, F&& f) {
  switch (bytes) {
    case 1: return f(static_cast<std::uint8_t*>(nullptr));
    case 2: return f(static_cast<std::uint16_t*>(nullptr));
    case 4: return f(static_cast<std::uint32_t*>(nullptr));
    case 8: return f(static_cast<std::uint64_t*>(nullptr));
    default: return f(static_cast<Bytes16*>(nullptr));
  }
}

/// An entry of an index tensor: int64 when `wide`, else int32.
PEREGRINE_HOST_DEVICE std::int64_t load_index(const void* data, int at, bool wide) {
  return wide ? static_cast<const std::int64_t*>(data)[at]
              : static_cast<const std::int32_t*>(data)[at];
}

}  // namespace peregrine::cuda
