// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernels/element.h"

namespace peregrine::cuda {

/// sum += weight * the `Width` elements at `from`, which is aligned to all of them.
template <typename T, int Width>
PEREGRINE_HOST_DEVICE void add_weighted(const T* from, float weight, float (&sum)[Width]) {
  const auto elements = *reinterpret_cast<const Pack<T, Width>*>(from);
  PEREGRINE_UNROLL
  for (int i = 0; i < Width; ++i) sum[i] += weight * converted<float>(elements.values[i]);
}
template <typename T, int Width>
PEREGRINE_HOST_DEVICE void store(T* to, const float (&values)[Width]) {
  Pack<T, Width> elements;
  PEREGRINE_UNROLL
  for (int i = 0; i < Width; ++i) elements.values[i] = converted<T>(values[i]);
  *reinterpret_cast<Pack<T, Width>*>(to) = elements;
}

/// As many elements as fit 16 bytes.
template <typename T>
inline constexpr int kVector = 16 / static_cast<int>(sizeof(T));

}  // namespace peregrine::cuda
