// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace peregrine::cuda {

/// Division of 0 <= n < 2^31 by a number known on the host: a multiplication and a shift instead of
/// some twenty dependent instructions (Granlund and Montgomery, 1994: with l = ceil(log2 d) and
/// m = ceil(2^(31+l) / d), n / d = m * n >> (31+l)).
struct FastDivisor {
  std::uint32_t divisor = 1;
  std::uint32_t multiplier = 0;
  std::int32_t shift = 0;

  FastDivisor() = default;
  explicit FastDivisor(int value) : divisor(static_cast<std::uint32_t>(value)) {
    if (value <= 1) return;
    int log = 0;
    while ((std::uint64_t{1} << log) < divisor) ++log;
    multiplier =
        static_cast<std::uint32_t>(((std::uint64_t{1} << (31 + log)) + divisor - 1) / divisor);
    shift = log - 1;
  }

  PEREGRINE_HOST_DEVICE int divide(int n) const {
    if (divisor == 1) return n;
#ifdef __CUDA_ARCH__
    return static_cast<int>(__umulhi(static_cast<std::uint32_t>(n), multiplier) >> shift);
#else
    return static_cast<int>((std::uint64_t{static_cast<std::uint32_t>(n)} * multiplier >> 32) >>
                            shift);
#endif
  }
};

}  // namespace peregrine::cuda
