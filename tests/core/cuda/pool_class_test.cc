// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <gtest/gtest.h>

#include "core/cuda/memory.h"

namespace peregrine::cuda {
namespace {

constexpr std::size_t kKiB = 1024;

TEST(PoolClass, SmallRequestsShareTheSmallest) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{512}, 64 * kKiB}) {
    EXPECT_EQ(pool_class(bytes), 64 * kKiB) << bytes;
  }
  EXPECT_EQ(pool_class(64 * kKiB + 1), 80 * kKiB);
}

TEST(PoolClass, HoldsTheRequestAndWastesAtMostAFifthOfItself) {
  for (std::size_t bytes = 64 * kKiB + 1; bytes < 3'000'000'000; bytes += bytes / 61 + 1) {
    const std::size_t size = pool_class(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_LE(static_cast<double>(size - bytes), 0.2 * static_cast<double>(size)) << bytes;
    ASSERT_EQ(size % 512, 0U) << bytes;
    ASSERT_EQ(pool_class(size), size) << "a class belongs to itself";
    ASSERT_GE(pool_class(bytes + 1), size) << bytes;
  }
}

TEST(PoolClass, FourToEachPowerOfTwo) {
  for (std::size_t power = 64 * kKiB; power <= 4096 * kKiB; power *= 2) {
    std::set<std::size_t> classes;
    for (std::size_t bytes = power + 1; bytes <= 2 * power; bytes += 1023)
      classes.insert(pool_class(bytes));
    classes.insert(pool_class(2 * power));
    EXPECT_EQ(classes,
              (std::set<std::size_t>{power * 5 / 4, power * 6 / 4, power * 7 / 4, 2 * power}));
  }
}

}  // namespace
}  // namespace peregrine::cuda
