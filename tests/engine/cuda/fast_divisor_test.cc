// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/fast_divisor.h"

#include <gtest/gtest.h>

namespace peregrine::cuda {
namespace {

TEST(FastDivisor, DividesExactly) {
  for (const int divisor : {1, 2, 3, 5, 7, 9, 20, 80, 400, 641, 6400, 102400, 1 << 20, 99999989}) {
    const FastDivisor fast(divisor);
    for (const int n : {0, 1, 2, 6, 7, 8, 399, 400, 401, 102399, 3276799, 3276800, 2147483646,
                        2147483647, divisor - 1, divisor}) {
      EXPECT_EQ(fast.divide(n), n / divisor) << n << " / " << divisor;
    }
  }
}

}  // namespace
}  // namespace peregrine::cuda
